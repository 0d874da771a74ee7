/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include "support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* Appends a header record with a right checksum. */
static void put_header(
	struct buffer *archive, const char *name, char type, const char *size, const char *magic)
{
	uint8_t record[512] = {0};
	unsigned sum = 0;

	memcpy(record, name, strlen(name));
	memcpy(record + 124, size, strlen(size) + 1 > 12 ? 12 : strlen(size) + 1);
	record[156] = (uint8_t)type;
	memcpy(record + 257, magic, strlen(magic));
	memset(record + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(record); i++)
		sum += record[i];
	snprintf((char *)record + 148, 8, "%06o", sum);
	assert_int_equal(buffer_append(archive, record, sizeof(record)), 0);
}

static void put_payload(struct buffer *archive, const void *data, size_t size)
{
	static const uint8_t zeros[512];

	assert_int_equal(buffer_append(archive, data, size), 0);
	assert_int_equal(buffer_append(archive, zeros, (512 - size % 512) % 512), 0);
}

static void put_end(struct buffer *archive)
{
	static const uint8_t zeros[1024];

	assert_int_equal(buffer_append(archive, zeros, sizeof(zeros)), 0);
}

/* What was found, as "type name size off\n". */
struct listing {
	struct buffer text;
	int enough; /* 0: never */
	int n;
};

static int list(void *arg, const struct tar_entry *entry, struct error *err)
{
	struct listing *listing = arg;

	(void)err;
	assert_int_equal(buffer_printf(&listing->text, "%c %s %" PRIu64 " %" PRIu64 "\n",
				 entry->type, entry->name, entry->size, entry->payload_off),
		0);
	return ++listing->n == listing->enough;
}

static void assert_lists_in_pieces(const struct buffer *archive, size_t piece, const char *expected)
{
	struct listing listing = {0};
	struct tar_reader *reader;
	struct error err = {0};

	assert_int_equal(buffer_append(&listing.text, "", 0), 0);
	assert_int_equal(tar_reader_new(list, &listing, &reader, &err), 0);
	for (size_t off = 0, size; off < archive->size; off += size) {
		size = archive->size - off < piece ? archive->size - off : piece;
		if (tar_reader_feed(reader, archive->data + off, size, &err) != 0)
			fail_msg("%s", err.message);
	}
	assert_string_equal((const char *)listing.text.data, expected);
	buffer_free(&listing.text);
	tar_reader_free(reader);
}

static void assert_lists(const struct buffer *archive, const char *expected)
{
	assert_lists_in_pieces(archive, SIZE_MAX, expected);
	assert_lists_in_pieces(archive, 1, expected);
	assert_lists_in_pieces(archive, 700, expected);
}

static void assert_refused(struct buffer *archive, enum error_kind kind, const char *words)
{
	struct listing listing = {0};
	struct tar_reader *reader;
	struct error err = {0};

	assert_int_equal(tar_reader_new(list, &listing, &reader, &err), 0);
	assert_int_equal(tar_reader_feed(reader, archive->data, archive->size, &err), -1);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.message, words))
		fail_msg("\"%s\" lacks \"%s\"", err.message, words);
	tar_reader_free(reader);
	buffer_free(&listing.text);
	archive->size = 0;
}

static void members_of_every_dialect_are_found(void **state)
{
	(void)state;
	struct buffer archive = {0};
	uint8_t long_payload[1500];

	memset(long_payload, 'p', sizeof(long_payload));
	put_header(&archive, "v7", '\0', "00000000005", "");
	put_payload(&archive, "hello", 5);
	put_header(&archive, "dir/", '5', "00000000000", "ustar\00000");
	put_header(&archive, "posix", '0', "       2734 ", "ustar");
	put_payload(&archive, long_payload, 1500);
	put_header(&archive, "gnu", '7', "00000000000", "ustar  ");
	/* A link's size is what it links to, not a payload. */
	put_header(&archive, "link", '1', "00000000005", "ustar");
	put_header(&archive, "last", '0', "", "ustar");
	put_end(&archive);
	assert_int_equal(buffer_append(&archive, "whatever follows", 16), 0);
	assert_lists(&archive, "0 v7 5 512\n"
			       "5 dir/ 0 1536\n"
			       "0 posix 1500 2048\n"
			       "0 gnu 0 4096\n"
			       "1 link 0 4608\n"
			       "0 last 0 5120\n");
	buffer_free(&archive);
}

static void ustar_prefixes_and_names_without_a_terminator_are_joined(void **state)
{
	(void)state;
	struct buffer archive = {0};
	char expected[300], name[101];
	uint8_t *record;
	unsigned sum = 0;

	memset(name, 'n', 100);
	name[100] = '\0';
	put_header(&archive, name, '0', "0", "ustar");
	record = archive.data;
	memset(record + 345, 'd', 155);
	memset(record + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += record[i];
	snprintf((char *)record + 148, 8, "%06o", sum);
	snprintf(expected, sizeof(expected), "0 %.*s/%s 0 512\n", 155, (const char *)record + 345,
		name);
	assert_lists(&archive, expected);
	buffer_free(&archive);
}

static void gnu_long_names_and_base_256_sizes_are_understood(void **state)
{
	(void)state;
	static const char big[12] = {'\x80', 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1};
	struct buffer archive = {0};
	uint8_t payload[1025] = {0};

	put_header(&archive, "././@LongLink", 'K', "00000000011", "ustar  ");
	put_payload(&archive, "a/target", 9);
	put_header(&archive, "././@LongLink", 'L', "00000000017", "ustar  ");
	put_payload(&archive, "a/long/name/it", 15);
	put_header(&archive, "a/lo", '0', "00000000000", "ustar  ");
	put_header(&archive, "b", '0', "x", "ustar  ");
	memcpy(archive.data + archive.size - 512 + 124, big, 12);
	memset(archive.data + archive.size - 512 + 148, ' ', 8);
	unsigned sum = 0;
	for (size_t i = 0; i < 512; i++)
		sum += archive.data[archive.size - 512 + i];
	snprintf((char *)archive.data + archive.size - 512 + 148, 8, "%06o", sum);
	put_payload(&archive, payload, sizeof(payload));
	put_header(&archive, "c", '0', "0", "ustar  ");
	assert_lists(&archive, "0 a/long/name/it 0 2560\n"
			       "0 b 1025 3072\n"
			       "0 c 0 5120\n");
	buffer_free(&archive);
}

static void pax_records_override_name_and_size_of_one_member(void **state)
{
	(void)state;
	static const char records[] = "15 path=a\nb/c \n10 size=3\n21 mtime=1.5=garbage\n";
	static const char global[] = "15 path=ignored\n";
	struct buffer archive = {0};

	put_header(&archive, "g", 'g', "00000000020", "ustar");
	put_payload(&archive, global, 16);
	put_header(&archive, "x", 'x', "00000000056", "ustar");
	put_payload(&archive, records, sizeof(records) - 1);
	put_header(&archive, "short", '0', "00000000000", "ustar");
	put_payload(&archive, "abc", 3);
	put_header(&archive, "plain", '0', "00000000000", "ustar");
	assert_lists(&archive, "0 a\nb/c  3 2560\n"
			       "0 plain 0 3584\n");
	buffer_free(&archive);
}

static void a_listener_that_has_seen_enough_stops_the_reader(void **state)
{
	(void)state;
	struct listing listing = {.enough = 2};
	struct buffer archive = {0};
	struct tar_reader *reader;
	struct error err = {0};

	for (int i = 0; i < 5; i++)
		put_header(&archive, "f", '0', "0", "ustar");
	assert_int_equal(tar_reader_new(list, &listing, &reader, &err), 0);
	assert_int_equal(tar_reader_feed(reader, archive.data, archive.size, &err), 1);
	assert_int_equal(listing.n, 2);
	tar_reader_freep(&reader);
	assert_null(reader);
	buffer_free(&listing.text);
	buffer_free(&archive);
}

static void broken_headers_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *records;
		const char *words;
	} bad_pax[] = {
		{"5 a=b\n", "wrong length"},
		{"999 a=b\n", "wrong length"},
		{"0 a=b\n", "wrong length"},
		{"x a=b\n", "wrong length"},
		{"a=b\n", "wrong length"},
		{"2 \n", "wrong length"},
		{"99999999999999999999 a=b\n", "wrong length"},
		{"5 ab\n", "without a value"},
		{"8 path=\n", "impossible length"},
		{"9 size=x\n", "no number"},
		{"28 size=9999999999999999999\n", "no number"},
	};
	struct buffer archive = {0};

	put_header(&archive, "f", '0', "0", "ustar");
	archive.data[3] ^= 1;
	assert_refused(&archive, ERROR_FORMAT, "wrong checksum");
	put_header(&archive, "f", '0', "8", "ustar");
	assert_refused(&archive, ERROR_FORMAT, "size is no number");
	put_header(&archive, "f", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "ustar");
	assert_refused(&archive, ERROR_FORMAT, "size is no number");
	put_header(&archive, "f", 'x', "0", "ustar");
	assert_refused(&archive, ERROR_FORMAT, "impossible length");
	put_header(&archive, "f", 'L', "00077777777", "ustar");
	assert_refused(&archive, ERROR_FORMAT, "impossible length");
	put_header(&archive, "f", 'S', "0", "ustar  ");
	assert_refused(&archive, ERROR_UNSUPPORTED, "sparse");
	put_header(&archive, "f", 'L', "1", "ustar");
	put_payload(&archive, "", 1);
	assert_refused(&archive, ERROR_FORMAT, "impossible length");

	for (size_t i = 0; i < sizeof(bad_pax) / sizeof(bad_pax[0]); i++) {
		char size[24];

		snprintf(size, sizeof(size), "%011zo", strlen(bad_pax[i].records));
		put_header(&archive, "f", 'x', size, "ustar");
		put_payload(&archive, bad_pax[i].records, strlen(bad_pax[i].records));
		assert_refused(&archive, ERROR_FORMAT, bad_pax[i].words);
	}
	put_header(&archive, "f", 'x', "13", "ustar");
	put_payload(&archive, "11 path=a\0b\n", 11);
	archive.data[512 + 10] = '\n';
	assert_refused(&archive, ERROR_FORMAT, "zero byte");
	buffer_free(&archive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_every_dialect_are_found),
		cmocka_unit_test(ustar_prefixes_and_names_without_a_terminator_are_joined),
		cmocka_unit_test(gnu_long_names_and_base_256_sizes_are_understood),
		cmocka_unit_test(pax_records_override_name_and_size_of_one_member),
		cmocka_unit_test(a_listener_that_has_seen_enough_stops_the_reader),
		cmocka_unit_test(broken_headers_are_refused),
	};
	return cmocka_run_group_tests_name("format/tar", tests, NULL, NULL);
}
