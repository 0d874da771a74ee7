/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what comes before the inodes of an image: our own header, superblock, devices, and the
 * checksums. */
#include "erofs_internal.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "crc32c.h"

uint32_t erofs_own_crc(const uint8_t *image)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c((uint32_t)CRC32C_SEED, image, OWN_CRC);

	crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, image + OWN_END, SUPER_OFF - OWN_END);
}

uint32_t erofs_super_crc(const uint8_t *image)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32c((uint32_t)CRC32C_SEED, image + SUPER_OFF, SUPER_CRC);

	crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, image + SUPER_OFF + SUPER_FEATURE_COMPAT,
		EROFS_BLOCK_SIZE - SUPER_OFF - SUPER_FEATURE_COMPAT);
}

uint32_t erofs_content_crc(const uint8_t *image, uint64_t size)
{
	return crc32c((uint32_t)CRC32C_SEED, image + EROFS_BLOCK_SIZE, size - EROFS_BLOCK_SIZE);
}

static bool all_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] != 0)
			return false;
	}
	return true;
}

static int check_own(struct erofs_reader *reader, struct error *err)
{
	const uint8_t *own = reader->data + OWN_OFF;

	if (reader->size < 2 * EROFS_BLOCK_SIZE || memcmp(own + OWN_MAGIC, OWN_MAGIC_TEXT, 8) != 0)
		return error_set(err, ERROR_FORMAT, "not an index");
	if (le32_load(own + OWN_VERSION) != OWN_FORMAT_VERSION)
		return error_set(err, ERROR_UNSUPPORTED, "index of version %" PRIu32,
			le32_load(own + OWN_VERSION));
	if (le32_load(own + OWN_CRC) != erofs_own_crc(reader->data))
		return error_set(err, ERROR_FORMAT, "wrong checksum of its header");
	if (le64_load(own + OWN_IMAGE_SIZE) != reader->size ||
		reader->size % EROFS_BLOCK_SIZE != 0 || reader->size > EROFS_MAX_IMAGE_SIZE)
		return error_set(err, ERROR_FORMAT, "%" PRIu64 " bytes instead of %" PRIu64,
			reader->size, le64_load(own + OWN_IMAGE_SIZE));
	if (!all_zero(own + OWN_END, SUPER_OFF - OWN_END))
		return error_set(err, ERROR_FORMAT, "unknown fields in its header");
	memcpy(reader->key, own + OWN_KEY, sizeof(reader->key));
	return 0;
}

/* What is not in it varies with the tree; all else is as we write it, or it is not ours. */
static void expected_super(const struct erofs_reader *reader, uint8_t *out)
{
	static const unsigned variable[][2] = {
		{SUPER_ROOT_NID, 2}, {SUPER_N_INODES, 8}, {SUPER_EXTRA_DEVICES, 2}};
	const uint8_t *super = reader->data + SUPER_OFF;

	memset(out, 0, SUPER_SIZE);
	for (size_t i = 0; i < sizeof(variable) / sizeof(variable[0]); i++)
		memcpy(out + variable[i][0], super + variable[i][0], variable[i][1]);
	le32_store(out + SUPER_MAGIC, EROFS_MAGIC);
	le32_store(out + SUPER_CRC, erofs_super_crc(reader->data));
	le32_store(out + SUPER_FEATURE_COMPAT, SUPER_COMPAT);
	out[SUPER_BLOCK_BITS] = EROFS_BLOCK_BITS;
	le32_store(out + SUPER_BLOCKS, (uint32_t)(reader->size / EROFS_BLOCK_SIZE));
	memcpy(out + SUPER_UUID, reader->key, 16);
	memcpy(out + SUPER_VOLUME_NAME, EROFS_VOLUME_NAME, strlen(EROFS_VOLUME_NAME));
	le32_store(out + SUPER_FEATURE_INCOMPAT, SUPER_INCOMPAT);
	le16_store(out + SUPER_DEVICE_TABLE, DEVICE_TABLE_OFF / DEVICE_SIZE);
}

static int check_super(struct erofs_reader *reader, struct error *err)
{
	const uint8_t *super = reader->data + SUPER_OFF;
	uint8_t expected[SUPER_SIZE];

	if (le32_load(super + SUPER_CRC) != erofs_super_crc(reader->data))
		return error_set(err, ERROR_FORMAT, "wrong checksum of its superblock");
	expected_super(reader, expected);
	if (memcmp(super, expected, sizeof(expected)) != 0)
		return error_set(err, ERROR_FORMAT, "a superblock that is not ours");
	reader->root = le16_load(super + SUPER_ROOT_NID);
	reader->n_inodes = le64_load(super + SUPER_N_INODES);
	reader->n_devices = le16_load(super + SUPER_EXTRA_DEVICES);
	return 0;
}

static bool is_tag(const char *tag)
{
	uint8_t key[DEVICE_TAG_SIZE / 2];

	return hex_decode(tag, DEVICE_TAG_SIZE, key, sizeof(key)) == 0;
}

static int check_devices(struct erofs_reader *reader, struct error *err)
{
	unsigned n = reader->n_devices;

	if (n == 0 || n > EROFS_MAX_DEVICES ||
		DEVICE_TABLE_OFF + (uint64_t)n * DEVICE_SIZE > reader->size)
		return error_set(err, ERROR_FORMAT, "%u devices", n);
	reader->devices = calloc(n, sizeof(*reader->devices));
	if (!reader->devices)
		return error_set(err, ERROR_NO_MEMORY, "no memory for %u devices", n);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *slot = reader->data + DEVICE_TABLE_OFF + (size_t)i * DEVICE_SIZE;
		struct device *device = &reader->devices[i];

		memcpy(device->tag, slot + DEVICE_TAG, DEVICE_TAG_SIZE);
		device->size = (uint64_t)le32_load(slot + DEVICE_BLOCKS) * EROFS_BLOCK_SIZE;
		if (!is_tag(device->tag) ||
			!all_zero(slot + DEVICE_RESERVED, DEVICE_SIZE - DEVICE_RESERVED))
			return error_set(err, ERROR_FORMAT, "device %u without a key", i);
	}
	return 0;
}

int erofs_check_header(struct erofs_reader *reader, struct error *err)
{
	if (check_own(reader, err) < 0 || check_super(reader, err) < 0 ||
		check_devices(reader, err) < 0)
		return -1;
	if (le32_load(reader->data + OWN_OFF + OWN_CONTENT_CRC) !=
		erofs_content_crc(reader->data, reader->size))
		return error_set(err, ERROR_FORMAT, "wrong checksum");
	return 0;
}
