/* SPDX-License-Identifier: Apache-2.0 */
/* Ends a pass that nobody waits for any more, whatever it waits for. */
#include "pass_internal.h"

void pass_cancel_init(struct pass_cancel *cancel)
{
	*cancel = (struct pass_cancel){0};
	(void)pthread_mutex_init(&cancel->lock, NULL);
}

void pass_cancel_destroy(struct pass_cancel *cancel)
{
	(void)pthread_mutex_destroy(&cancel->lock);
}

void pass_cancel(struct pass_cancel *cancel)
{
	(void)pthread_mutex_lock(&cancel->lock);
	cancel->cancelled = true;
	if (cancel->fetch)
		pass_fetch_cancel(cancel->fetch);
	(void)pthread_mutex_unlock(&cancel->lock);
}

void pass_cancel_watch(struct pass_cancel *cancel, struct pass_fetch *fetch)
{
	if (!cancel)
		return;
	(void)pthread_mutex_lock(&cancel->lock);
	cancel->fetch = fetch;
	if (fetch && cancel->cancelled)
		pass_fetch_cancel(fetch);
	(void)pthread_mutex_unlock(&cancel->lock);
}
