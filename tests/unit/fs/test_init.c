/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "fs_init.h"

#define ALLOW_IDMAP_2 (UINT32_C(1) << 8) /* bit 40 */

struct init_request {
	struct fuse_in_header header;
	struct fuse_init_in init;
};

static struct init_request request_with(uint32_t flags, uint32_t flags2)
{
	return (struct init_request){
		.header = {.len = sizeof(struct init_request), .opcode = FUSE_INIT, .unique = 2},
		.init = {.major = 7, .minor = 45, .flags = flags, .flags2 = flags2},
	};
}

static void reads_both_words_of_flags(void **state)
{
	struct init_request request =
		request_with(FUSE_INIT_EXT | FUSE_PARALLEL_DIROPS, ALLOW_IDMAP_2);
	struct fs_init_offer offer = {0};

	(void)state;
	assert_true(fs_init_parse(&request, sizeof(request), &offer));
	assert_true(offer.seen);
	assert_int_equal(offer.unique, 2);
	assert_int_equal(offer.flags, (uint64_t)ALLOW_IDMAP_2 << 32 | request.init.flags);
}

static void the_second_word_counts_only_where_it_was_announced(void **state)
{
	struct init_request request = request_with(FUSE_PARALLEL_DIROPS, 0xffffffff);
	struct fs_init_offer offer = {0};

	(void)state;
	assert_true(fs_init_parse(&request, sizeof(request), &offer));
	assert_int_equal(offer.flags, FUSE_PARALLEL_DIROPS);
}

static void a_short_request_of_an_old_kernel_is_understood(void **state)
{
	struct init_request request = request_with(FUSE_PARALLEL_DIROPS, 0);
	struct fs_init_offer offer = {0};

	(void)state;
	assert_true(fs_init_parse(&request, sizeof(request.header) + 16, &offer));
	assert_int_equal(offer.flags, FUSE_PARALLEL_DIROPS);
}

static void other_requests_are_none_of_its_business(void **state)
{
	struct init_request request = request_with(0, 0);
	struct fs_init_offer offer = {0};

	(void)state;
	request.header.opcode = FUSE_LOOKUP;
	assert_false(fs_init_parse(&request, sizeof(request), &offer));
	assert_false(fs_init_parse(&request, sizeof(request.header) - 1, &offer));
	assert_false(offer.seen);
}

static void knows_the_reply_by_its_number_and_success(void **state)
{
	struct fs_init_offer offer = {.seen = true, .unique = 2};
	struct fuse_out_header reply = {.unique = 2};

	(void)state;
	assert_true(fs_init_is_reply(&offer, &reply, sizeof(reply)));
	reply.error = -EPROTO;
	assert_false(fs_init_is_reply(&offer, &reply, sizeof(reply)));
	reply = (struct fuse_out_header){.unique = 4};
	assert_false(fs_init_is_reply(&offer, &reply, sizeof(reply)));
	assert_false(fs_init_is_reply(&offer, &reply, sizeof(reply) - 1));
}

static void adds_what_was_offered_and_keeps_what_is_there(void **state)
{
	struct fs_init_offer offer = {
		.seen = true,
		.flags = FUSE_INIT_EXT | FUSE_PARALLEL_DIROPS | UINT64_C(1) << 40 |
			 FUSE_WRITEBACK_CACHE,
	};
	struct fuse_init_out out = {
		.flags = FUSE_ASYNC_READ, .max_readahead = 131072, .max_pages = 256};

	(void)state;
	fs_init_patch(&offer, &out, sizeof(out));
	assert_int_equal(out.flags, FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_INIT_EXT);
	assert_int_equal(out.flags2, ALLOW_IDMAP_2);
	assert_int_equal(out.max_background, 65535);
	assert_int_equal(out.congestion_threshold, 65535);
	assert_true(out.max_readahead >= 1 << 20);
	assert_int_equal(out.max_pages, 256);
}

static void adds_no_flag_that_was_not_offered(void **state)
{
	struct fs_init_offer offer = {.seen = true};
	struct fuse_init_out out = {0};

	(void)state;
	fs_init_patch(&offer, &out, sizeof(out));
	assert_int_equal(out.flags, 0);
	assert_int_equal(out.flags2, 0);
}

static void leaves_the_short_reply_to_an_old_kernel_alone(void **state)
{
	struct fs_init_offer offer = {.seen = true, .flags = FUSE_PARALLEL_DIROPS};
	struct fuse_init_out out = {0};
	struct fuse_init_out before = out;

	(void)state;
	fs_init_patch(&offer, &out, 24);
	assert_memory_equal(&out, &before, sizeof(out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_words_of_flags),
		cmocka_unit_test(the_second_word_counts_only_where_it_was_announced),
		cmocka_unit_test(a_short_request_of_an_old_kernel_is_understood),
		cmocka_unit_test(other_requests_are_none_of_its_business),
		cmocka_unit_test(knows_the_reply_by_its_number_and_success),
		cmocka_unit_test(adds_what_was_offered_and_keeps_what_is_there),
		cmocka_unit_test(adds_no_flag_that_was_not_offered),
		cmocka_unit_test(leaves_the_short_reply_to_an_old_kernel_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
