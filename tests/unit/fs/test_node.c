/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids and tree 0, without a mount. */
#include "support/fs_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "fs_internal.h"

struct nodes {
	struct fs_fixture fixture;
	struct fs_session one; /* of one tree */
	struct fs_session all; /* tree 0 */
};

static char mountpoint[] = "here";

static int setup(void **state)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));

	assert_non_null(nodes);
	fs_fixture_open(&nodes->fixture, &(struct fs_fixture_options){.no_mount = true});
	nodes->all.trees = nodes->one.trees = nodes->fixture.trees;
	nodes->all.mountpoint = nodes->one.mountpoint = mountpoint;
	nodes->one.tree = nodes->fixture.tree;
	*state = nodes;
	return 0;
}

static int teardown(void **state)
{
	struct nodes *nodes = *state;

	fs_fixture_close(&nodes->fixture);
	free(nodes);
	return 0;
}

static uint64_t root_node(const struct nodes *nodes)
{
	return node_id(FIXTURE_TREE_ID, erofs_root(nodes->fixture.tree->reader));
}

static void the_root_of_fuse_is_the_root_of_the_tree(void **state)
{
	struct nodes *nodes = *state;
	struct fs_node node;

	assert_int_equal(fs_node_resolve(&nodes->one, FUSE_ROOT_ID, &node), 0);
	assert_ptr_equal(node.tree, nodes->fixture.tree);
	assert_int_equal(node.nid, erofs_root(node.tree->reader));
	assert_int_equal(fs_node_resolve(&nodes->all, FUSE_ROOT_ID, &node), 0);
	assert_null(node.tree);
}

static void an_unknown_tree_is_stale(void **state)
{
	struct nodes *nodes = *state;
	struct fs_node node;

	assert_int_equal(fs_node_resolve(&nodes->all, node_id(99, 36), &node), -ESTALE);
	assert_int_equal(fs_node_resolve(&nodes->one, node_id(99, 36), &node), -ESTALE);
	assert_int_equal(fs_node_resolve(&nodes->one, 2, &node), -ESTALE);
	assert_int_equal(fs_node_resolve(&nodes->all, root_node(nodes), &node), 0);
	assert_int_equal(fs_node_resolve(&nodes->one, root_node(nodes), &node), 0);
}

static int stat_of(struct fs_session *session, uint64_t id)
{
	struct fs_node node;
	struct stat attr;
	double timeout;
	int ret = fs_node_resolve(session, id, &node);

	return ret < 0 ? ret : fs_node_stat(session, &node, &attr, &timeout);
}

static void an_unknown_row_is_stale(void **state)
{
	struct nodes *nodes = *state;

	assert_int_equal(stat_of(&nodes->all, node_id(FIXTURE_TREE_ID, NODE_NID_MASK)), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, node_id(FIXTURE_TREE_ID, 0)), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, 6), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, UINT64_C(1) << 32 | 99), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, UINT64_C(2) << 32 | 99), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, UINT64_C(3) << 32 | FIXTURE_DATA_ID), -ESTALE);
	assert_int_equal(stat_of(&nodes->all, UINT64_C(2) << 32 | FIXTURE_DATA_ID), 0);
}

/* The answer for a path of tree 0. */
static int walk(
	struct nodes *nodes, const char *first, const char *second, struct fuse_entry_param *out)
{
	struct fs_node node = {.nid = FUSE_ROOT_ID};
	int ret = fs_node_lookup(&nodes->all, &node, first, out);

	if (ret < 0 || !second)
		return ret;
	assert_int_equal(fs_node_resolve(&nodes->all, out->ino, &node), 0);
	return fs_node_lookup(&nodes->all, &node, second, out);
}

static void names_of_tree_0_are_found_in_their_only_form(void **state)
{
	struct fuse_entry_param entry;

	assert_int_equal(walk(*state, "t", "ya", &entry), 0);
	assert_int_equal(entry.ino, root_node(*state));
	assert_int_equal(walk(*state, "t", "YA", &entry), -ENOENT);
	assert_int_equal(walk(*state, "t", "0ya", &entry), -ENOENT);
	assert_int_equal(walk(*state, "t", "", &entry), -ENOENT);
	assert_int_equal(walk(*state, "t", "zzzzzzzzzzzzz", &entry), -ENOENT);
	assert_int_equal(walk(*state, "data", "77", &entry), 0);
	assert_int_equal(walk(*state, "data", "077", &entry), -ENOENT);
	assert_int_equal(walk(*state, "data", "7a", &entry), -ENOENT);
	assert_int_equal(walk(*state, "images", "sha256:of-an-image", &entry), 0);
	assert_int_equal(walk(*state, "layers", "sha256:of-an-image", &entry), -ENOENT);
	assert_int_equal(walk(*state, "elsewhere", NULL, &entry), -ENOENT);
}

static void what_may_change_is_asked_for_again(void **state)
{
	struct fuse_entry_param entry;

	assert_int_equal(walk(*state, "t", NULL, &entry), 0);
	assert_true(entry.attr_timeout == 0);
	assert_int_equal(walk(*state, "images", "sha256:of-an-image", &entry), 0);
	assert_true(entry.entry_timeout == 0);
	assert_int_equal(walk(*state, "t", "ya", &entry), 0);
	assert_true(entry.entry_timeout == TIMEOUT_UNLIMITED);
	assert_true(entry.attr_timeout == TIMEOUT_UNLIMITED);
}

static void a_name_that_a_tree_does_not_have_is_remembered(void **state)
{
	struct nodes *nodes = *state;
	struct fuse_entry_param entry;
	struct fs_node root;

	assert_int_equal(fs_node_resolve(&nodes->one, FUSE_ROOT_ID, &root), 0);
	assert_int_equal(fs_node_lookup(&nodes->one, &root, "nothing", &entry), 0);
	assert_int_equal(entry.ino, 0);
	assert_true(entry.entry_timeout == TIMEOUT_UNLIMITED);
}

static void a_data_file_has_whole_blocks(void **state)
{
	struct fuse_entry_param entry;

	assert_int_equal(walk(*state, "data", "77", &entry), 0);
	assert_int_equal(entry.attr.st_mode, S_IFREG | 0400);
	assert_int_equal(entry.attr.st_size % 4096, 0);
	assert_true(entry.attr.st_size >= FIXTURE_BIG_SIZE + FIXTURE_ZEROS_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_of_fuse_is_the_root_of_the_tree),
		cmocka_unit_test(an_unknown_tree_is_stale),
		cmocka_unit_test(an_unknown_row_is_stale),
		cmocka_unit_test(names_of_tree_0_are_found_in_their_only_form),
		cmocka_unit_test(what_may_change_is_asked_for_again),
		cmocka_unit_test(a_name_that_a_tree_does_not_have_is_remembered),
		cmocka_unit_test(a_data_file_has_whole_blocks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
