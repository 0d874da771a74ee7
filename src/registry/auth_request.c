/* SPDX-License-Identifier: Apache-2.0 */
/* What a token server is asked. */
#include "auth_request_internal.h"

#include <errno.h>
#include <string.h>

#include "credentials_internal.h"
#include "query_internal.h"

int auth_basic_value(const struct credential *credential, struct buffer *out)
{
	CLEANUP(secret_buffer_free) struct buffer plain = {0};
	int result = buffer_printf(&plain, "%s:%s", credential->username, credential->secret);

	if (result == 0)
		result = buffer_printf(out, "Basic ");
	return result < 0 ? result : base64_encode(plain.data, plain.size, out);
}

int auth_token_url(const struct auth_token *token, struct buffer *out)
{
	CLEANUP(cleanup_free) char *scopes = strdup(token->scopes);
	char *rest = scopes;
	char *scope;

	if (!scopes || buffer_printf(out, "%s", token->realm) < 0)
		return -ENOMEM;
	if (token->service && query_append(out, "service", token->service) < 0)
		return -ENOMEM;
	while ((scope = strsep(&rest, " "))) {
		if (query_append(out, "scope", scope) < 0)
			return -ENOMEM;
	}
	return 0;
}

int auth_token_form(
	const struct auth_token *token, const struct credential *credential, struct buffer *out)
{
	const char *fields[][2] = {
		{"service", token->service ? token->service : ""},
		{"client_id", "varve"},
		{"scope", token->scopes},
		{"grant_type", credential->is_identity_token ? "refresh_token" : "password"},
		{credential->is_identity_token ? "refresh_token" : "password", credential->secret},
		{"username", credential->username},
	};
	size_t n = sizeof(fields) / sizeof(fields[0]) - (credential->is_identity_token ? 1 : 0);

	for (size_t i = 0; i < n; i++) {
		if (form_append(out, fields[i][0], fields[i][1]) < 0)
			return -ENOMEM;
	}
	return 0;
}
