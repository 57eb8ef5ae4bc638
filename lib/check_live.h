#ifndef CHECK_LIVE_H
#define CHECK_LIVE_H

#include "check.h"

/*
 * Ask each provider, for real: a message marked as a test to every destination
 * that takes one, an SMS only if told so, since it costs money; Stripe for its
 * meter and its webhook endpoint, Retell for its room; and a signed event of
 * the type automate.test through cgi.public_url into the database.
 */
void check_live(struct check *, bool sms);

#endif
