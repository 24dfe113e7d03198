// SPDX-License-Identifier: MIT

package main

import "testing"

func TestGuests(t *testing.T) {
	main()
}
