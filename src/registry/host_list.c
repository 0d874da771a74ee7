/* SPDX-License-Identifier: Apache-2.0 */
/* Growing list of hosts while a configuration is read. */
#include <errno.h>
#include <string.h>

#include "hosts_internal.h"

static void host_clear(struct host *host)
{
	free(host->scheme);
	free(host->authority);
	free(host->path);
	free(host->origin);
	for (size_t i = 0; i < host->n_headers; i++) {
		free((char *)host->headers[i].name);
		free((char *)host->headers[i].value);
	}
	free(host->headers);
	for (size_t i = 0; i < host->n_ca_paths; i++)
		free(host->ca_paths[i]);
	free(host->ca_paths);
	for (size_t i = 0; i < host->n_pairs; i++) {
		free((char *)host->pairs[i].cert_path);
		free((char *)host->pairs[i].key_path);
	}
	free(host->pairs);
	tls_settings_unref(host->tls);
}

void host_list_clear(struct host_list *list)
{
	for (size_t i = 0; i < list->n_hosts; i++)
		host_clear(&list->hosts[i]);
	free(list->hosts);
	free(list->lines);
	*list = (struct host_list){0};
}

/* Makes room for one more element of a small array. */
static int array_grow(void *array_pointer, size_t n, size_t element_size)
{
	void *array;

	memcpy(&array, array_pointer, sizeof(array));
	array = reallocarray(array, n + 1, element_size);
	if (!array)
		return -ENOMEM;
	memcpy(array_pointer, &array, sizeof(array));
	memset((char *)array + n * element_size, 0, element_size);
	return 0;
}

struct host *host_list_add(struct host_list *list, unsigned line)
{
	struct host *host;

	if (array_grow(&list->hosts, list->n_hosts, sizeof(*list->hosts)) < 0 ||
		array_grow(&list->lines, list->n_hosts, sizeof(*list->lines)) < 0)
		return NULL;
	list->lines[list->n_hosts] = line;
	host = &list->hosts[list->n_hosts++];
	host->capabilities = HOST_ALL_CAPABILITIES;
	return host;
}

int host_add_ca(struct host *host, const char *path)
{
	char *copy = strdup(path);

	if (!copy || array_grow(&host->ca_paths, host->n_ca_paths, sizeof(*host->ca_paths)) < 0) {
		free(copy);
		return -ENOMEM;
	}
	host->ca_paths[host->n_ca_paths++] = copy;
	return 0;
}

int host_add_pair(struct host *host, const char *cert, const char *key)
{
	struct tls_client_pair pair = {strdup(cert), strdup(key ? key : "")};

	if (!pair.cert_path || !pair.key_path ||
		array_grow(&host->pairs, host->n_pairs, sizeof(*host->pairs)) < 0) {
		free((char *)pair.cert_path);
		free((char *)pair.key_path);
		return -ENOMEM;
	}
	host->pairs[host->n_pairs++] = pair;
	return 0;
}

int host_add_header(struct host *host, const char *name, const char *value)
{
	struct http_header header = {strdup(name), strdup(value)};

	if (!header.name || !header.value ||
		array_grow(&host->headers, host->n_headers, sizeof(*host->headers)) < 0) {
		free((char *)header.name);
		free((char *)header.value);
		return -ENOMEM;
	}
	host->headers[host->n_headers++] = header;
	return 0;
}
