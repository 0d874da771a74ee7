/* SPDX-License-Identifier: Apache-2.0 */
/* Memory maps of files that survive the loss of their disk. */
#include "base/mapping.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mapping_internal.h"

int mapping_open(int fd, struct mapping *out, struct error *err)
{
	struct mapping_slot *slot;
	struct stat status;
	size_t size;
	void *data;
	int ret;

	if (fstat(fd, &status) < 0)
		return error_set_errno(err, errno, "stat a file to map");
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_INVALID, "map a file: it is not a regular file");
	if (status.st_size == 0)
		return error_set(err, ERROR_FORMAT, "map a file: it is empty");

	ret = mapping_handler_install();
	if (ret < 0)
		return error_set_errno(err, -ret, "install the handler of SIGBUS");
	size = (size_t)status.st_size;
	data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return error_set_errno(err, errno, "map %zu bytes of a file", size);
	slot = mapping_slot_take((uintptr_t)data, size);
	if (!slot) {
		(void)munmap(data, size);
		return error_set(err, ERROR_NO_MEMORY, "no memory to map %zu bytes", size);
	}

	*out = (struct mapping){.data = data, .size = size, .slot = slot};
	return 0;
}

void mapping_close(struct mapping *mapping)
{
	if (!mapping->slot)
		return;

	/* The slot first: as soon as it is unmapped, the range can be given to another mapping. */
	mapping_slot_release(mapping->slot);
	(void)munmap((void *)mapping->data, mapping->size);
	*mapping = (struct mapping){0};
}

bool mapping_failed(const struct mapping *mapping)
{
	return mapping->slot && atomic_load(&mapping->slot->failed);
}
