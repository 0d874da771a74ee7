/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that held a secret is overwritten before it is given back. */
#include <string.h>

#include "credentials_internal.h"

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void secret_freep(char **secret)
{
	secret_free(*secret);
}

void secret_buffer_free(struct buffer *buffer)
{
	if (buffer->data)
		explicit_bzero(buffer->data, buffer->capacity);
	buffer_free(buffer);
}

void credential_clear(struct credential *credential)
{
	free(credential->username);
	secret_free(credential->secret);
	free(credential->source);
	*credential = (struct credential){0};
}
