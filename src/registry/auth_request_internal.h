/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/bytes.h"
#include "registry/credentials.h"

#include "auth_internal.h"

/* Leaf functions: 0 or -ENOMEM; they append to out. */

/* "Basic dXNlcjpzZWNyZXQ=" */
MUST_CHECK int auth_basic_value(const struct credential *credential, struct buffer *out);

/* The realm with service and scopes in its query. */
MUST_CHECK int auth_token_url(const struct auth_token *token, struct buffer *out);

/* The form of distribution's "OAuth2": a password or a refresh token for an access token. */
MUST_CHECK int auth_token_form(
	const struct auth_token *token, const struct credential *credential, struct buffer *out);
