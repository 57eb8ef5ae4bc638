#include "decide/money.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <stdio.h>

#define CODE_MAX 3

static const char no_decimals[] = "bif clp djf gnf jpy kmf krw mga pyg rwf "
				  "vnd vuv xaf xof xpf";
static const char three_decimals[] = "bhd jod kwd omr tnd";
static const char hundredfold[] = "isk ugx"; /* two, of which none is used */

static const struct {
	const char *code, *symbol;
} symbols[] = {
    {"usd", "$"}, {"eur", "€"}, {"gbp", "£"}, {"jpy", "¥"}, {"inr", "₹"}};

static bool
is_in(const char *list, const char *code)
{
	return strlen(code) == CODE_MAX && strstr(list, code) != NULL;
}

static int
decimals_of(const char *code, uint64_t amount)
{
	if (is_in(no_decimals, code))
		return 0;
	if (is_in(three_decimals, code))
		return 3;
	return is_in(hundredfold, code) && amount % 100 == 0 ? 0 : 2;
}

static void
add_grouped(struct buf *out, uint64_t number)
{
	char digits[24];
	size_t size, i;

	size = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number);
	for (i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			buf_byte(out, ',');
		buf_byte(out, digits[i]);
	}
}

static void
add_currency(struct buf *out, const char *code)
{
	size_t i;

	for (i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (strcmp(symbols[i].code, code) == 0) {
			buf_text(out, symbols[i].symbol);
			return;
		}
	for (; *code != '\0'; code++)
		buf_byte(out, (char)toupper((unsigned char)*code));
	buf_byte(out, ' ');
}

void
money_text(struct buf *out, int64_t amount_minor, const char *currency)
{
	uint64_t amount = amount_minor < 0 ? 0 - (uint64_t)amount_minor
					   : (uint64_t)amount_minor;
	char code[CODE_MAX + 1] = "";
	uint64_t unit = 1;
	int decimals, i;

	for (i = 0; currency != NULL && i < CODE_MAX && currency[i] != '\0';
	     i++)
		code[i] = (char)tolower((unsigned char)currency[i]);
	decimals = decimals_of(code, amount);
	for (i = 0; i < decimals; i++)
		unit *= 10;
	if (is_in(hundredfold, code))
		unit = 100;
	if (amount_minor < 0)
		buf_byte(out, '-');
	add_currency(out, code);
	add_grouped(out, amount / unit);
	if (decimals > 0)
		buf_format(out, ".%0*" PRIu64, decimals, amount % unit);
}
