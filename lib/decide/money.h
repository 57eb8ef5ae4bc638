#ifndef DECIDE_MONEY_H
#define DECIDE_MONEY_H

#include <stdint.h>

#include "base/buf.h"

/*
 * Add an amount of money as people write it: "$12.00", "¥1,200", "KWD 1.500",
 * "-€5.00". The amount is in minor units as Stripe has them, the currency its
 * ISO 4217 code in any case. Which currencies have no or three decimals, and
 * that UGX and ISK are whole numbers times 100:
 * https://docs.stripe.com/currencies
 */
void money_text(struct buf *, int64_t amount_minor, const char *currency);

#endif
