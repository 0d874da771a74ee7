/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the JSON that token servers and registries answer with. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"

#include "auth_internal.h"

/* What the documentation of token servers says a token without a usable expires_in lives for. */
enum { SHORTEST_LIFETIME_S = 60 };

int auth_response_parse(
	const void *data, size_t size, char **token, uint64_t *lifetime_s, struct error *err)
{
	CLEANUP(json_freep) struct json *document = NULL;
	const char *text;
	int64_t lifetime;

	if (json_parse(data, size, &document, err) < 0)
		return -1;
	text = json_string(json_get(document, "access_token"));
	if (!text || !*text)
		text = json_string(json_get(document, "token"));
	if (!text || !*text)
		return error_set(err, ERROR_FORMAT, "its answer has no token");
	*lifetime_s = UINT64_MAX;
	if (json_i64(json_get(document, "expires_in"), &lifetime))
		*lifetime_s =
			lifetime > SHORTEST_LIFETIME_S ? (uint64_t)lifetime : SHORTEST_LIFETIME_S;
	*token = strdup(text);
	return *token ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a token");
}

static const char *text_of(const struct json *object, const char *key)
{
	const char *text = json_string(json_get(object, key));

	return text ? text : "";
}

void registry_error_text(const void *data, size_t size, char *out, size_t out_size)
{
	/* Registries: errors of code and message; OAuth2: error and error_description; others. */
	static const char *const codes[] = {"code", "error"};
	static const char *const messages[] = {"message", "error_description", "details", "detail"};
	CLEANUP(json_freep) struct json *document = NULL;
	const struct json *object;
	const char *code = "";
	const char *message = "";

	*out = 0;
	if (size == 0 || json_parse(data, size, &document, NULL) < 0)
		return;
	object = json_at(json_get(document, "errors"), 0);
	if (!object)
		object = document;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]) && !*code; i++)
		code = text_of(object, codes[i]);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]) && !*message; i++)
		message = text_of(object, messages[i]);
	(void)snprintf(
		out, out_size, "%.40s%s%.120s", code, *code && *message ? ": " : "", message);
}
