/* SPDX-License-Identifier: Apache-2.0 */
/* An operator new that can be made to fail, linked in place of the standard one. */
#include "failing_new.h"

#include <cstdlib>
#include <new>

static thread_local unsigned countdown;

void failing_new_arm(unsigned n)
{
	countdown = n;
}

void *operator new(size_t size)
{
	if (countdown > 0 && --countdown == 0)
		throw std::bad_alloc();
	if (void *p = std::malloc(size > 0 ? size : 1))
		return p;
	throw std::bad_alloc();
}

/* AddressSanitizer brings its own of this form, which goes with its own operator delete only. */
void *operator new(size_t size, const std::nothrow_t &) noexcept
{
	if (countdown > 0 && --countdown == 0)
		return nullptr;
	return std::malloc(size > 0 ? size : 1);
}

void operator delete(void *p) noexcept
{
	std::free(p);
}

void operator delete(void *p, size_t size) noexcept
{
	(void)size;
	std::free(p);
}
