/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the manifest of a SOCI index, and as a list of referrers. */
#include <stdbool.h>
#include <string.h>

#include "format/referrers.h"
#include "format/soci_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static void check_index(const uint8_t *data, size_t size)
{
	struct soci_index *index = NULL;
	struct error err = {0};

	if (soci_index_parse(data, size, NULL, &index, &err) < 0) {
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
		return;
	}
	for (size_t i = 0; i < index->n_layers; i++)
		require(soci_index_find(index, &index->layers[i].layer) == &index->layers[i]);
	soci_index_free(index);
}

/* What was added is found, and what was there still is. */
static void check_added(const struct buffer *changed, const struct descriptor *added, size_t n)
{
	struct referrers *referrers = NULL;

	require(referrers_parse(changed->data, changed->size, NULL, &referrers, NULL) == 0);
	require(referrers->n >= 1 && referrers->n <= n + 1);
	require(digest_equal(&referrers->list[referrers->n - 1].descriptor.digest, &added->digest));
	referrers_free(referrers);
}

static void check_referrers(const uint8_t *data, size_t size)
{
	struct descriptor added = {
		.media_type = (char *)"a/b", .digest = {.algorithm = DIGEST_SHA256}};
	struct referrers *all = NULL, *some = NULL;
	struct buffer changed = {0};
	struct error err = {0};

	if (referrers_parse(data, size, NULL, &all, &err) < 0) {
		require(err.kind != ERROR_NONE && err.message[0] != '\0');
		return;
	}
	require(referrers_parse(data, size, "a/b", &some, NULL) == 0 && some->n <= all->n);
	if (all->n < REFERRERS_MAX) {
		require(referrers_add(data, size, &added, "a/b", &changed, NULL) == 0);
		if (changed.size <= REFERRERS_MAX_SIZE)
			check_added(&changed, &added, all->n);
	}
	buffer_free(&changed);
	referrers_free(all);
	referrers_free(some);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_index(data, size);
	check_referrers(data, size);
	return 0;
}
