/* SPDX-License-Identifier: Apache-2.0 */
/* One tar header record and what the extensions before it change: the entry of a member. */
#include "tar_internal.h"

#include <inttypes.h>
#include <string.h>

/* Fields of a header record: offset and size. */
enum {
	NAME = 0,
	NAME_SIZE = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	ID_SIZE = 8, /* also of the mode and of device numbers */
	SIZE = 124,
	MTIME = 136,
	NUMBER_SIZE = 12,
	CHECKSUM = 148,
	CHECKSUM_SIZE = 8,
	TYPE = 156,
	LINK = 157,
	LINK_SIZE = 100,
	MAGIC = 257,
	DEV_MAJOR = 329,
	DEV_MINOR = 337,
	PREFIX = 345,
	PREFIX_SIZE = 155,
	STAR_PREFIX_SIZE = 131,
	STAR_TRAILER = 508,
	GNU_ATIME = 345,
	GNU_CTIME = 357,
};

bool tar_is_zeros(const uint8_t *record)
{
	return record[0] == 0 && memcmp(record, record + 1, TAR_RECORD_SIZE - 1) == 0;
}

/* Spaces and NULs, octal digits, and after a space or NUL anything. Empty is 0: writers of all
 * times did that, and both GNU tar and Go read it so. No field is long enough for more than 36
 * bits. */
static bool parse_octal(const uint8_t *field, size_t size, int64_t *out)
{
	int64_t value = 0;
	size_t i = 0;

	while (i < size && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (field[i] - '0');
	*out = value;
	return i == size || field[i] == ' ' || field[i] == '\0';
}

/* Two's complement, of which the highest bit only says that it is none of octal. */
bool tar_parse_number(const uint8_t *field, size_t size, int64_t *out)
{
	uint8_t inverted = field[0] & 0x40 ? 0xff : 0;
	uint64_t value;

	if (!(field[0] & 0x80))
		return parse_octal(field, size, out);
	value = (field[0] ^ inverted) & 0x7f;
	for (size_t i = 1; i < size; i++) {
		if (value >> 55)
			return false;
		value = value << 8 | (field[i] ^ inverted);
	}
	*out = inverted ? (int64_t)~value : (int64_t)value;
	return true;
}

/* Eight bytes at a time, in four sums of 16 bits, which 512 bytes cannot overflow. */
static int sum_bytes(const uint8_t *record)
{
	const uint64_t every_other = UINT64_C(0x00ff00ff00ff00ff);
	uint64_t sums = 0, word;

	for (size_t i = 0; i < TAR_RECORD_SIZE; i += sizeof(word)) {
		memcpy(&word, record + i, sizeof(word));
		sums += (word & every_other) + (word >> 8 & every_other);
	}
	return (int)((sums & 0xffff) + (sums >> 16 & 0xffff) + (sums >> 32 & 0xffff) +
		     (sums >> 48));
}

/* The sum of all bytes with the checksum field as spaces; some writers took bytes as signed. */
bool tar_checksum_matches(const uint8_t *record)
{
	int64_t stored;
	int sum = sum_bytes(record) + ' ' * CHECKSUM_SIZE;
	int n_high = 0;

	if (!parse_octal(record + CHECKSUM, CHECKSUM_SIZE, &stored))
		return false;
	for (size_t i = CHECKSUM; i < CHECKSUM + CHECKSUM_SIZE; i++)
		sum -= record[i];
	if (stored == sum)
		return true;
	for (size_t i = 0; i < TAR_RECORD_SIZE; i++)
		n_high += i < CHECKSUM || i >= CHECKSUM + CHECKSUM_SIZE ? record[i] >> 7 : 0;
	return stored == sum - 256 * n_high;
}

char tar_header_type(const uint8_t *record)
{
	return (char)record[TYPE];
}

bool tar_header_is_gnu(const uint8_t *record)
{
	return memcmp(record + MAGIC, "ustar  ", 8) == 0;
}

static bool is_posix(const uint8_t *record)
{
	return memcmp(record + MAGIC, "ustar", 6) == 0;
}

static int64_t field_number(const struct tar_reader *reader, size_t off, size_t size,
	const char *name, struct error *err)
{
	int64_t value;

	if (!tar_parse_number(reader->record + off, size, &value) || value < 0) {
		(void)error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": %s is no number", reader->entry.header_off,
			name);
		return -1;
	}
	return value;
}

int tar_header_size(const struct tar_reader *reader, uint64_t *out, struct error *err)
{
	int64_t size = field_number(reader, SIZE, NUMBER_SIZE, "size", err);

	if (size < 0)
		return -1;
	if ((uint64_t)size > INT64_MAX - TAR_RECORD_SIZE - reader->off)
		return tar_wrong(reader, "size beyond all limits", err);
	*out = (uint64_t)size;
	return 0;
}

/* Go before 1.8 wrote a POSIX prefix into headers that it marked as GNU, where these two times
 * are: images of that age have it where a name is long and an owner's number large. */
static bool has_prefix_of_old_go(const uint8_t *record)
{
	int64_t ignored;
	size_t size = strnlen((const char *)record + PREFIX, PREFIX_SIZE);

	if (tar_parse_number(record + GNU_ATIME, NUMBER_SIZE, &ignored) &&
		tar_parse_number(record + GNU_CTIME, NUMBER_SIZE, &ignored))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (record[PREFIX + i] & 0x80)
			return false;
	}
	return true;
}

static size_t prefix_size(const uint8_t *record)
{
	size_t most = PREFIX_SIZE;

	if (tar_header_is_gnu(record) && !has_prefix_of_old_go(record))
		return 0;
	if (!tar_header_is_gnu(record) && !is_posix(record))
		return 0;
	if (is_posix(record) && memcmp(record + STAR_TRAILER, "tar", 4) == 0)
		most = STAR_PREFIX_SIZE;
	return strnlen((const char *)record + PREFIX, most);
}

/* GNU's long name before that of PAX, and both before the header. */
static void set_name(struct tar_reader *reader)
{
	const uint8_t *record = reader->record;
	const char *path = tar_pax_text(reader, TAR_KEY_PATH);
	char *name = reader->header_name;
	size_t size = prefix_size(record);
	size_t name_size = strnlen((const char *)record + NAME, NAME_SIZE);

	memcpy(name, record + PREFIX, size);
	if (size > 0)
		name[size++] = '/';
	memcpy(name + size, record + NAME, name_size);
	name[size + name_size] = '\0';
	if (reader->long_name.size > 0)
		reader->entry.name = (const char *)reader->long_name.data;
	else
		reader->entry.name = path ? path : name;
}

static void set_link(struct tar_reader *reader)
{
	const char *path = tar_pax_text(reader, TAR_KEY_LINK_PATH);
	size_t size = strnlen((const char *)reader->record + LINK, LINK_SIZE);

	if (reader->entry.type != '1' && reader->entry.type != '2')
		return;
	memcpy(reader->header_link, reader->record + LINK, size);
	reader->header_link[size] = '\0';
	if (reader->long_link.size > 0)
		reader->entry.link_name = (const char *)reader->long_link.data;
	else
		reader->entry.link_name = path ? path : reader->header_link;
}

static char entry_type(const struct tar_reader *reader)
{
	char type = tar_header_type(reader->record);
	size_t size = strlen(reader->entry.name);

	if (type >= '1' && type <= '6')
		return type;
	if (type == 'D') /* GNU, incremental: a directory, and the names in it as payload */
		return '5';
	/* V7 had no type for directories. */
	if (type == '\0' && size > 0 && reader->entry.name[size - 1] == '/')
		return '5';
	return '0';
}

/* Nobody was -2 on some systems, and is 4294967294 to container runtimes. */
static int set_id(const struct tar_reader *reader, enum tar_key key, size_t off, const char *name,
	uint32_t *out, struct error *err)
{
	const struct tar_value *value = tar_pax_find(reader, key);
	int64_t id;

	if (value)
		id = (int64_t)value->number;
	else if (!tar_parse_number(reader->record + off, ID_SIZE, &id))
		return error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": %s is no number", reader->entry.header_off,
			name);
	if (id < INT32_MIN || id > UINT32_MAX)
		return error_set(err, ERROR_FORMAT,
			"tar header at byte %" PRIu64 ": %s %" PRId64 " does not fit into 32 bits",
			reader->entry.header_off, name, id);
	*out = (uint32_t)id;
	return 0;
}

static int set_device(const struct tar_reader *reader, enum tar_key key, size_t off,
	const char *name, uint64_t *out, struct error *err)
{
	const struct tar_value *value = tar_pax_find(reader, key);
	int64_t number;

	if (!value && !is_posix(reader->record) && !tar_header_is_gnu(reader->record))
		return 0; /* V7 has no such fields */
	number = value ? (int64_t)value->number : field_number(reader, off, ID_SIZE, name, err);
	if (number < 0)
		return -1;
	*out = (uint64_t)number;
	return 0;
}

static int set_attributes(struct tar_reader *reader, struct error *err)
{
	const struct tar_value *mtime = tar_pax_find(reader, TAR_KEY_MTIME);
	struct tar_entry *entry = &reader->entry;
	int64_t mode;

	if (!tar_parse_number(reader->record + MODE, ID_SIZE, &mode))
		return tar_wrong(reader, "mode is no number", err);
	entry->mode = (uint32_t)mode & 07777;
	if (mtime) {
		entry->mtime_s = mtime->seconds;
		entry->mtime_ns = mtime->nanoseconds;
	} else if (!tar_parse_number(reader->record + MTIME, NUMBER_SIZE, &entry->mtime_s)) {
		return tar_wrong(reader, "mtime is no number", err);
	}
	if (set_id(reader, TAR_KEY_UID, UID, "uid", &entry->uid, err) < 0 ||
		set_id(reader, TAR_KEY_GID, GID, "gid", &entry->gid, err) < 0)
		return -1;
	if (entry->type != '3' && entry->type != '4')
		return 0;
	if (set_device(reader, TAR_KEY_DEV_MAJOR, DEV_MAJOR, "devmajor", &entry->dev_major, err) <
		0)
		return -1;
	return set_device(reader, TAR_KEY_DEV_MINOR, DEV_MINOR, "devminor", &entry->dev_minor, err);
}

int tar_measure_payload(struct tar_reader *reader, struct error *err)
{
	const struct tar_value *value = tar_pax_find(reader, TAR_KEY_SIZE);
	uint64_t size;

	if (!value) {
		if (tar_header_size(reader, &size, err) < 0)
			return -1;
	} else {
		size = value->number;
		if (size > INT64_MAX - TAR_RECORD_SIZE - reader->off)
			return tar_wrong(reader, "size beyond all limits", err);
	}
	reader->payload_left = size;
	reader->padding_left = align_up(size, TAR_RECORD_SIZE) - size;
	return 0;
}

int tar_decode_header(struct tar_reader *reader, struct error *err)
{
	set_name(reader);
	reader->entry.type = entry_type(reader);
	/* What others say about a size is not about a payload: POSIX, "ustar Interchange Format".
	 */
	reader->payload_left = 0;
	reader->padding_left = 0;
	if ((reader->entry.type == '0' || tar_header_type(reader->record) == 'D') &&
		tar_measure_payload(reader, err) < 0)
		return -1;
	set_link(reader);
	if (set_attributes(reader, err) < 0)
		return -1;
	return tar_collect_xattrs(reader, err);
}
