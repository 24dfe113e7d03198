/* SPDX-License-Identifier: MIT */
/*
 * virtio block on a raw image: one request at a time, in order, on the device's thread.
 *
 * A write is done when the host has it; a flush is done when the host's disk has it. A driver that
 * did not take the flush feature gets each write flushed (VIRTIO 1.2, 5.2.6.2).
 * A request that is well formed but cannot be done fails with a status; one that is not stops the
 * device.
 */
#include "vmm/virtio_blk.h"
#include "vmm/report.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_BLOCK 2

#define F_SEG_MAX  (1ull << 2)
#define F_RO       (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH    (1ull << 9)

#define SEG_MAX (VIRTQUEUE_MAX - 2) /* the header and the status have descriptors of their own */
#define ID_SIZE 20

enum request_type { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
enum request_status { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

struct request_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct blk_config {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
};

/* What the host is asked to do with the image. */
enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_OPS };

static const struct {
	const char *name;
	ssize_t (*transfer)(int fd, const struct iovec *iov, int nr, off_t offset);
} disk_ops[DISK_OPS] = {
	[DISK_READ] = {"read", preadv},
	[DISK_WRITE] = {"write", pwritev},
	[DISK_FLUSH] = {"flush", NULL},
};

struct virtio_blk {
	struct virtio virtio;
	struct vmm_disk disk;
	struct blk_config config;
	char name[16];
	unsigned int told[DISK_OPS]; /* failures of the host that were reported */
};

/* A request, taken apart: the header, the data without header and status, the status byte. */
struct request {
	struct request_header header;
	struct iovec in[VIRTQUEUE_MAX], out[VIRTQUEUE_MAX];
	unsigned int nr_in, nr_out;
	uint64_t in_len, out_len;
	uint8_t *status;
};

static uint64_t total(const struct iovec *iov, unsigned int nr)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < nr; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Drops the first @len bytes, copying them to @to when that is not NULL. */
static void take_front(struct iovec **iov, unsigned int *nr, void *to, size_t len)
{
	uint8_t *dest = to;

	while (len && *nr) {
		const size_t n = len < (*iov)->iov_len ? len : (*iov)->iov_len;

		if (dest) {
			memcpy(dest, (*iov)->iov_base, n);
			dest += n;
		}
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
		len -= n;
		if (!(*iov)->iov_len) {
			(*iov)++;
			(*nr)--;
		}
	}
}

/* How the bytes are cut into descriptors means nothing (VIRTIO 1.2, 2.7.4). */
static int take_apart(struct request *req, const struct virtqueue_chain *chain, const char **error)
{
	struct iovec *in = req->in, *last;

	memcpy(req->in, chain->iov, chain->nr_in * sizeof(*chain->iov));
	memcpy(req->out, chain->iov + chain->nr_in, chain->nr_out * sizeof(*chain->iov));
	req->nr_in = chain->nr_in;
	req->nr_out = chain->nr_out;
	if (total(req->in, req->nr_in) < sizeof(req->header)) {
		*error = "a request shorter than its header";
		return -EINVAL;
	}
	if (!req->nr_out) {
		*error = "a request without room for its status";
		return -EINVAL;
	}
	take_front(&in, &req->nr_in, &req->header, sizeof(req->header));
	memmove(req->in, in, req->nr_in * sizeof(*in));
	last = &req->out[req->nr_out - 1];
	req->status = (uint8_t *)last->iov_base + --last->iov_len;
	if (!last->iov_len)
		req->nr_out--;
	req->in_len = total(req->in, req->nr_in);
	req->out_len = total(req->out, req->nr_out);
	return 0;
}

/*
 * The guest is told of each failure, and a person of the first of each kind: that the host's disk
 * is full is nothing that the guest could say.
 */
static enum request_status host_failed(struct virtio_blk *blk, enum disk_op op, int error)
{
	vmm_report_limited(&blk->told[op], 1,
			   "%s: the host cannot %s the image: %s (told once; the guest gets an I/O "
			   "error each time)",
			   blk->name, disk_ops[op].name,
			   error ? strerror(error) : "it has become shorter");
	return S_IOERR;
}

static enum request_status transfer(struct virtio_blk *blk, enum disk_op op, struct iovec *iov,
				    unsigned int nr, uint64_t sector, uint64_t len)
{
	off_t offset = (off_t)(sector * VIRTIO_BLK_SECTOR);

	if (len % VIRTIO_BLK_SECTOR || sector > blk->disk.sectors ||
	    len / VIRTIO_BLK_SECTOR > blk->disk.sectors - sector)
		return S_IOERR;
	while (len) {
		const ssize_t n = disk_ops[op].transfer(blk->disk.fd, iov, (int)nr, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return host_failed(blk, op, n ? errno : 0);
		take_front(&iov, &nr, NULL, (size_t)n);
		offset += n;
		len -= (uint64_t)n;
	}
	return S_OK;
}

static enum request_status flush(struct virtio_blk *blk)
{
	if (blk->disk.read_only || !fdatasync(blk->disk.fd))
		return S_OK;
	return host_failed(blk, DISK_FLUSH, errno);
}

static enum request_status do_write(struct virtio_blk *blk, struct request *req)
{
	enum request_status status;

	if (blk->disk.read_only)
		return S_IOERR;
	status = transfer(blk, DISK_WRITE, req->in, req->nr_in, le64toh(req->header.sector),
			  req->in_len);
	if (status == S_OK && !(blk->virtio.driver_features & F_FLUSH))
		status = flush(blk);
	return status;
}

static enum request_status get_id(struct virtio_blk *blk, struct request *req, uint64_t *written)
{
	char id[ID_SIZE] = {0};
	size_t done = 0;

	snprintf(id, sizeof(id), "armature-%.10s", blk->name);
	for (unsigned int i = 0; i < req->nr_out && done < ID_SIZE; i++) {
		const size_t left = ID_SIZE - done;
		const size_t n = req->out[i].iov_len < left ? req->out[i].iov_len : left;

		memcpy(req->out[i].iov_base, id + done, n);
		done += n;
	}
	*written = done;
	return S_OK;
}

static int64_t virtio_blk_serve(struct virtio *virtio, const struct virtqueue_chain *chain,
				const char **error)
{
	struct virtio_blk *blk = vmm_container_of(virtio, struct virtio_blk, virtio);
	enum request_status status;
	struct request req;
	uint64_t written = 0;
	int err = take_apart(&req, chain, error);

	if (err)
		return err;
	switch (le32toh(req.header.type)) {
	case T_IN:
		status = transfer(blk, DISK_READ, req.out, req.nr_out, le64toh(req.header.sector),
				  req.out_len);
		written = status == S_OK ? req.out_len : 0;
		break;
	case T_OUT:
		status = do_write(blk, &req);
		break;
	case T_FLUSH:
		status = flush(blk);
		break;
	case T_GET_ID:
		status = get_id(blk, &req, &written);
		break;
	default:
		status = S_UNSUPP;
	}
	*req.status = (uint8_t)status;
	return (int64_t)written + 1;
}

static void virtio_blk_destroy(struct virtio *virtio)
{
	struct virtio_blk *blk = vmm_container_of(virtio, struct virtio_blk, virtio);

	close(blk->disk.fd);
	free(blk);
}

static const struct virtio_class virtio_blk_class = {
	.device_id = DEVICE_BLOCK,
	.config_size = sizeof(struct blk_config),
	.serve = virtio_blk_serve,
	.destroy = virtio_blk_destroy,
};

static int disk_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
	if (!S_ISREG(st.st_mode))
		return -ENOTBLK;
	*size = (uint64_t)st.st_size;
	return 0;
}

/* Return: 0 where the file system has no locks. */
static int not_locked(const char *path)
{
	if (errno == EAGAIN || errno == EACCES) {
		vmm_report("disk '%s': in use, by another process or as a disk given twice", path);
		return -EBUSY;
	}
	vmm_report("disk '%s': cannot be locked against other users: %s", path, strerror(errno));
	return 0;
}

int vmm_disk_open(struct vmm_disk *disk, const char *path, bool read_only)
{
	struct flock lock = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	uint64_t size = 0;
	int err;

	disk->read_only = read_only;
	disk->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (disk->fd < 0) {
		err = -errno;
		vmm_report("disk '%s': %s%s", path, strerror(-err),
			   !read_only && (err == -EACCES || err == -EROFS)
				   ? " (with ',ro' after it, it is only read)"
				   : "");
		return err;
	}
	err = disk_size(disk->fd, &size);
	if (err == -ENOTBLK)
		vmm_report("disk '%s': neither a file nor a block device", path);
	else if (err)
		vmm_report("disk '%s': %s", path, strerror(-err));
	else if (size < VIRTIO_BLK_SECTOR)
		vmm_report("disk '%s': shorter than one sector of 512 bytes", path), err = -EINVAL;
	else if (fcntl(disk->fd, F_OFD_SETLK, &lock))
		err = not_locked(path);
	if (err) {
		close(disk->fd);
		disk->fd = -1;
		return err;
	}
	if (size % VIRTIO_BLK_SECTOR)
		vmm_report("disk '%s': its last %u bytes are no whole sector and are left out",
			   path, (unsigned int)(size % VIRTIO_BLK_SECTOR));
	disk->sectors = size / VIRTIO_BLK_SECTOR;
	return 0;
}

int vmm_virtio_blk_create(unsigned int index, uint64_t base, const struct vmm_line *line,
			  const struct vmm_memory *mem, const struct vmm_disk *disk,
			  struct vmm_bus *bus, struct vmm_device **device)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int err = -ENOMEM;

	if (blk) {
		snprintf(blk->name, sizeof(blk->name), "disk%u", index);
		blk->disk = *disk;
		blk->config.capacity = htole64(disk->sectors);
		blk->config.seg_max = htole32(SEG_MAX);
		blk->config.blk_size = htole32(VIRTIO_BLK_SECTOR);
		blk->virtio.device.name = blk->name;
		blk->virtio.class = &virtio_blk_class;
		blk->virtio.mem = mem;
		blk->virtio.base = base;
		blk->virtio.line = *line;
		blk->virtio.features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
				       VIRTIO_F_EVENT_IDX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH |
				       (disk->read_only ? F_RO : 0);
		blk->virtio.config = &blk->config;
		err = virtio_start(&blk->virtio, bus);
	}
	if (err) {
		close(disk->fd);
		free(blk);
		return err;
	}
	*device = &blk->virtio.device;
	return 0;
}
