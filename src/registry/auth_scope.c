/* SPDX-License-Identifier: Apache-2.0 */
/* Which scopes a token is asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#include "auth_internal.h"

enum { MAX_SCOPES = 64 };

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* GHCR names this repository, whichever was asked for, where it knows none. */
static bool is_placeholder(const char *scope)
{
	static const char placeholder[] = "repository:user/image:";

	return strncmp(scope, placeholder, sizeof(placeholder) - 1) == 0;
}

char *auth_scopes_merge(const char *repository, const char *challenge_scope)
{
	CLEANUP(cleanup_free) char *own = NULL;
	CLEANUP(cleanup_free) char *copy = strdup(challenge_scope ? challenge_scope : "");
	struct buffer out = {0};
	const char *scopes[MAX_SCOPES];
	size_t n_scopes = 0;
	char *rest = copy;
	char *scope;

	if (asprintf(&own, "repository:%s:pull", repository) < 0)
		own = NULL;
	if (!own || !copy)
		return NULL;
	scopes[n_scopes++] = own;
	while ((scope = strsep(&rest, " ")) && n_scopes < MAX_SCOPES) {
		if (*scope && !is_placeholder(scope))
			scopes[n_scopes++] = scope;
	}
	qsort(scopes, n_scopes, sizeof(scopes[0]), compare);
	for (size_t i = 0; i < n_scopes; i++) {
		if (i > 0 && strcmp(scopes[i], scopes[i - 1]) == 0)
			continue;
		if (buffer_printf(&out, "%s%s", i > 0 ? " " : "", scopes[i]) < 0) {
			buffer_free(&out);
			return NULL;
		}
	}
	return (char *)out.data;
}
