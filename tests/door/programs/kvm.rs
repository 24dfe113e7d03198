// SPDX-License-Identifier: MIT

// A VMM in Rust, without crates: vCPUs that store a word where no memory is, and exits that show it.
// With --cfg raw it makes its system calls itself, else by the C library.

use std::fs;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::process::{exit, Command};
use std::ptr::{addr_of_mut, null_mut};
use std::thread;

// Numbers of <linux/kvm.h> for arm64.
const GET_API_VERSION: u64 = 0xae00;
const CREATE_VM: u64 = 0xae01;
const CHECK_EXTENSION: u64 = 0xae03;
const GET_VCPU_MMAP_SIZE: u64 = 0xae04;
const CREATE_VCPU: u64 = 0xae41;
const SET_USER_MEMORY_REGION: u64 = 0x4020_ae46;
const RUN: u64 = 0xae80;
const SET_ONE_REG: u64 = 0x4010_aeac;
const VCPU_INIT: u64 = 0x4020_aeae;
const PREFERRED_TARGET: u64 = 0x8020_aeaf;
const CAP_ARM_USER_IRQ: u64 = 144;
const EXIT_MMIO: u32 = 6;
const REG_PC: u64 = 0x6030_0000_0010_0040;

const RAM: u64 = 0x4000_0000;
const DEVICE: u64 = 0x900_0000;
const STORED: u32 = 0x1234_5678;
const THREADS: u32 = 4;
const ROUNDS: u32 = 200;

// For ever: str w1, [x0], with x0 the device and w1 the word.
const PROGRAM: [u32; 5] = [
    0xd2a1_2000, // movz x0, #0x900, lsl #16
    0x528a_cf01, // movz w1, #0x5678
    0x72a2_4681, // movk w1, #0x1234, lsl #16
    0xb900_0001, // str w1, [x0]
    0x17ff_ffff, // b to the store
];

const READ_WRITE: i32 = 3; // PROT_READ | PROT_WRITE
const SHARED: i32 = 1;
const PRIVATE: i32 = 2;
const ANONYMOUS: i32 = 0x20;

extern "C" {
    fn mmap(at: *mut u8, size: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
}

#[cfg(raw)]
mod calls {
    use std::arch::asm;
    use std::ffi::CStr;

    #[cfg(target_arch = "x86_64")]
    unsafe fn call(nr: [u64; 2], a: u64, b: u64, c: u64) -> i64 {
        let ret: i64;
        asm!("syscall", inlateout("rax") nr[0] => ret, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") 0u64, lateout("rcx") _, lateout("r11") _);
        ret
    }

    #[cfg(target_arch = "aarch64")]
    unsafe fn call(nr: [u64; 2], a: u64, b: u64, c: u64) -> i64 {
        let ret: i64;
        asm!("svc #0", in("x8") nr[1], inlateout("x0") a => ret, in("x1") b, in("x2") c,
             in("x3") 0u64);
        ret
    }

    // Each by its number on x86-64 and on arm64.
    pub fn ioctl(fd: i32, request: u64, arg: u64) -> i64 {
        unsafe { call([16, 29], fd as u64, request, arg) }
    }

    pub fn open(path: &CStr) -> i32 {
        unsafe { call([257, 56], -100i64 as u64, path.as_ptr() as u64, 2) as i32 }
    }

    pub fn close(fd: i32) -> i64 {
        unsafe { call([3, 57], fd as u64, 0, 0) }
    }
}

#[cfg(not(raw))]
mod calls {
    use std::ffi::CStr;
    use std::io::Error;

    mod c {
        extern "C" {
            pub fn ioctl(fd: i32, request: u64, ...) -> i32;
            pub fn open(path: *const std::os::raw::c_char, flags: i32, ...) -> i32;
            pub fn close(fd: i32) -> i32;
        }
    }

    fn result(ret: i32) -> i64 {
        if ret < 0 {
            -(Error::last_os_error().raw_os_error().unwrap() as i64)
        } else {
            ret as i64
        }
    }

    pub fn ioctl(fd: i32, request: u64, arg: u64) -> i64 {
        result(unsafe { c::ioctl(fd, request, arg) })
    }

    pub fn open(path: &CStr) -> i32 {
        result(unsafe { c::open(path.as_ptr(), 2) }) as i32
    }

    pub fn close(fd: i32) -> i64 {
        result(unsafe { c::close(fd) })
    }
}

fn request(fd: i32, number: u64, arg: u64) -> i32 {
    let ret = calls::ioctl(fd, number, arg);
    if ret < 0 {
        println!("request {:#x}: error {}", number, -ret);
        exit(1);
    }
    ret as i32
}

fn map(size: usize, flags: i32, fd: i32) -> *mut u8 {
    let at = unsafe { mmap(null_mut(), size, READ_WRITE, flags, fd, 0) };
    assert!(at as isize != -1);
    at
}

unsafe fn word(at: *const u8, offset: usize) -> u32 {
    *(at.add(offset) as *const u32)
}

// A vCPU of its own VM; each exit is looked at.
fn guest(kvm: i32) {
    let vm = request(kvm, CREATE_VM, 0);
    let vcpu = request(vm, CREATE_VCPU, 0);
    let memory = map(4096, PRIVATE | ANONYMOUS, -1);
    let mut region = [0, RAM, 4096, memory as u64];
    let mut target = [0u32; 8];
    let mut start = RAM;
    let mut pc = [REG_PC, addr_of_mut!(start) as u64];

    unsafe { (memory as *mut [u32; 5]).write(PROGRAM) };
    request(vm, SET_USER_MEMORY_REGION, addr_of_mut!(region) as u64);
    request(vm, PREFERRED_TARGET, addr_of_mut!(target) as u64);
    request(vcpu, VCPU_INIT, addr_of_mut!(target) as u64);
    request(vcpu, SET_ONE_REG, addr_of_mut!(pc) as u64);
    let run = map(request(kvm, GET_VCPU_MMAP_SIZE, 0) as usize, SHARED, vcpu);
    for _ in 0..ROUNDS {
        request(vcpu, RUN, 0);
        unsafe {
            assert_eq!(word(run, 8), EXIT_MMIO);
            assert_eq!(*(run.add(32) as *const u64), DEVICE);
            assert_eq!(word(run, 40), STORED);
            assert_eq!((word(run, 48), *run.add(52)), (4, 1));
        }
    }
    assert_eq!((calls::close(vcpu), calls::close(vm)), (0, 0));
}

fn main() {
    let path = std::ffi::CString::new("/dev/kvm").unwrap();
    let kvm = calls::open(&path);

    // The standard library asks for it in its own ways, and so does a child.
    assert!(fs::metadata("/dev/kvm").unwrap().file_type().is_char_device());
    drop(fs::OpenOptions::new().read(true).write(true).custom_flags(0o2000000).open("/dev/kvm").unwrap());
    assert!(Command::new("test").args(["-c", "/dev/kvm"]).status().unwrap().success());
    assert_eq!(request(kvm, GET_API_VERSION, 0), 12);
    assert!(request(kvm, CHECK_EXTENSION, CAP_ARM_USER_IRQ) > 0);
    let threads: Vec<_> = (0..THREADS).map(|_| thread::spawn(move || guest(kvm))).collect();
    for t in threads {
        t.join().unwrap();
    }
    println!("{} exits", THREADS * ROUNDS);
}
