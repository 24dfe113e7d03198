// SPDX-License-Identifier: MIT

package main

// The C library is there, and makes the threads; the system calls stay Go's own.

// #include <stdlib.h>
import "C"

func init() {
	C.free(C.malloc(1))
}
