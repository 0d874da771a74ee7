/* SPDX-License-Identifier: Apache-2.0 */
/* A hosts.toml up to the hosts it makes; certificates are named, not read. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "registry/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hosts_options options = {0};
	CLEANUP(hosts_unrefp) struct hosts *hosts = NULL;
	struct error err = {0};

	log_setup(LOG_LEVEL_ERROR, 2, true);
	if (hosts_parse(&options, "registry.example:5000", "/certs", data, size, &hosts, &err) <
		0) {
		if (!err.message[0])
			abort();
		return 0;
	}
	for (size_t i = 0; i < hosts->n_hosts; i++) {
		if (!hosts->hosts[i].authority || !hosts->hosts[i].origin)
			abort();
	}
	return 0;
}
