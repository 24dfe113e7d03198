# The commands of README.md. What builds is meson and ninja; see meson.build.
#
#   make              build build/armature and the libraries
#   make demo         from nothing to a Debian arm64 guest's shell
#   make check        install what the tests need, and run them all (CHECK=all: as CI does)
#   make check-kvm    of these, the tests on Linux's own KVM, in emulated arm64 hosts
#   make lint         the style of all files; make format lays out the C files
#   make bench        figures, side by side with QEMU and the bare host
#   make arm64        on an x86-64 host: build for arm64 too, in build-arm64
#   make install      PREFIX (/usr/local) and DESTDIR are honoured; with the door of arm64 programs
#                     if make arm64 has built it
#   make clean        remove what was built; distclean also what was fetched

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

# meson reads each of these once; a folder that gains one changes the build.
DESCRIPTIONS := $(wildcard meson.build */meson.build */*/meson.build)

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) products

$(BUILD)/build.ninja: $(DESCRIPTIONS) | tools
	@if [ -e $@ ]; then meson setup --reconfigure $(BUILD) $(MESONFLAGS); \
	else meson setup --prefix $(PREFIX) $(MESONFLAGS) $(BUILD); fi
	@touch $@

tools:
	@scripts/deps --only-ask build

demo:
	@scripts/demo

check:
	@scripts/check $(CHECK)

check-kvm:
	@scripts/check-kvm

lint:
	@scripts/deps lint
	@scripts/lint

format:
	@scripts/deps lint
	@scripts/lint --format

bench:
	@bench/run

arm64:
	@scripts/deps cross
	@scripts/cross build

install: all
	@[ ! -e build-arm64/build.ninja ] || ninja -C build-arm64 libarmature-door.so
	@meson setup --reconfigure --prefix $(PREFIX) $(BUILD) >/dev/null
	DESTDIR=$(DESTDIR) meson install --no-rebuild -C $(BUILD)

clean:
	rm -rf $(BUILD) build-*

distclean: clean
	rm -rf .cache

.PHONY: all tools arm64 demo check check-kvm lint format bench install clean distclean
