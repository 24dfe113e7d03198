// SPDX-License-Identifier: MIT

// A VMM in Go, whose runtime makes its system calls itself: vCPUs that store a word where no memory
// is, and exits that show it. There are several at once, while the runtime's other threads go on and
// interrupt them by signals.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// Numbers of <linux/kvm.h> for arm64.
const (
	getAPIVersion     = 0xae00
	createVM          = 0xae01
	checkExtension    = 0xae03
	getVCPUMmapSize   = 0xae04
	createVCPU        = 0xae41
	setUserMemory     = 0x4020ae46
	run               = 0xae80
	setOneReg         = 0x4010aeac
	vcpuInit          = 0x4020aeae
	preferredTarget   = 0x8020aeaf
	capARMUserIRQ     = 144
	exitMMIO          = 6
	regPC             = 0x6030000000100040
	ram               = 0x40000000
	device            = 0x9000000
	stored            = 0x12345678
	vcpus, rounds     = 4, 200
	exitReasonOffset  = 8
	mmioAddressOffset = 32
	mmioDataOffset    = 40
	mmioLengthOffset  = 48
	mmioWriteOffset   = 52
)

// For ever: str w1, [x0], with x0 the device and w1 the word.
var program = []uint32{
	0xd2a12000, // movz x0, #0x900, lsl #16
	0x528acf01, // movz w1, #0x5678
	0x72a24681, // movk w1, #0x1234, lsl #16
	0xb9000001, // str w1, [x0]
	0x17ffffff, // b to the store
}

type region struct {
	slot, flags                  uint32
	guestPhysical, size, address uint64
}

type register struct {
	id   uint64
	addr unsafe.Pointer
}

type initial struct {
	target   uint32
	features [7]uint32
}

func check(what string, err error) {
	if err != nil {
		fmt.Println(what+":", err)
		os.Exit(1)
	}
}

// number makes a request whose argument is no address. Linux's KVM_CREATE_VM ends with EINTR, too,
// when one of the runtime's signals comes.
func number(fd int, request, arg uintptr) int {
	for {
		ret, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, arg)
		if errno == 0 {
			return int(ret)
		} else if errno != syscall.EINTR {
			check(fmt.Sprintf("request %#x", request), errno)
		}
	}
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) int {
	ret, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	if errno != 0 {
		check(fmt.Sprintf("request %#x", request), errno)
	}
	return int(ret)
}

func word(at []byte, offset int) uint32 {
	return *(*uint32)(unsafe.Pointer(&at[offset]))
}

// guest runs a vCPU of its own VM, and looks at each exit.
func guest(kvm int) {
	const protection = syscall.PROT_READ | syscall.PROT_WRITE
	var target initial
	start := uint64(ram)

	runtime.LockOSThread()
	vm := number(kvm, createVM, 0)
	vcpu := number(vm, createVCPU, 0)
	memory, err := syscall.Mmap(-1, 0, 4096, protection, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	check("mmap", err)
	for i, instruction := range program {
		*(*uint32)(unsafe.Pointer(&memory[4*i])) = instruction
	}
	ioctl(vm, setUserMemory, unsafe.Pointer(&region{guestPhysical: ram, size: 4096,
		address: uint64(uintptr(unsafe.Pointer(&memory[0])))}))
	ioctl(vm, preferredTarget, unsafe.Pointer(&target))
	ioctl(vcpu, vcpuInit, unsafe.Pointer(&target))
	ioctl(vcpu, setOneReg, unsafe.Pointer(&register{regPC, unsafe.Pointer(&start)}))
	shared, err := syscall.Mmap(vcpu, 0, number(kvm, getVCPUMmapSize, 0), protection,
		syscall.MAP_SHARED)
	check("mmap of the vCPU", err)
	for exits := 0; exits < rounds; {
		number(vcpu, run, 0)
		if word(shared, exitReasonOffset) != exitMMIO ||
			word(shared, mmioAddressOffset) != device || word(shared, mmioDataOffset) != stored ||
			word(shared, mmioLengthOffset) != 4 || shared[mmioWriteOffset] != 1 {
			fmt.Println("exit:", shared[:64])
			os.Exit(1)
		}
		exits++
		if exits%50 == 0 {
			runtime.GC()
		}
	}
	check("close", syscall.Close(vcpu))
	check("close", syscall.Close(vm))
}

func main() {
	var all sync.WaitGroup

	file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	check("open", err)
	kvm := int(file.Fd())
	if number(kvm, getAPIVersion, 0) != 12 || number(kvm, checkExtension, capARMUserIRQ) <= 0 {
		fmt.Println("no KVM for arm64 guests")
		os.Exit(1)
	}
	for i := 0; i < vcpus; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			guest(kvm)
		}()
	}
	all.Wait()
	check("close", file.Close())
	fmt.Println(vcpus*rounds, "exits")
}
