#include "decide/money.h"

#include "../tap.h"

static const struct {
	int64_t amount;
	const char *currency, *wanted;
} rows[] = {
    {1200, "usd", "$12.00"},
    {1200, "USD", "$12.00"},
    {1200, "jpy", "¥1,200"},
    {1500, "kwd", "KWD 1.500"},
    {1234567890, "usd", "$12,345,678.90"},
    {5, "usd", "$0.05"},
    {0, "usd", "$0.00"},
    {0, "jpy", "¥0"},
    {-1200, "usd", "-$12.00"},
    {-5, "eur", "-€0.05"},
    {999, "gbp", "£9.99"},
    {100000, "inr", "₹1,000.00"},
    {1000, "chf", "CHF 10.00"},
    {123456, "krw", "KRW 123,456"},
    {500, "ugx", "UGX 5"},
    {550, "ugx", "UGX 5.50"},
    {-500, "isk", "-ISK 5"},
    {120000, "isk", "ISK 1,200"},
    {1000, "huf", "HUF 10.00"},
    {1000, "twd", "TWD 10.00"},
    {7, "bhd", "BHD 0.007"},
    {INT64_MAX, "jpy", "¥9,223,372,036,854,775,807"},
    {INT64_MIN, "usd", "-$92,233,720,368,547,758.08"},
    {100, "", " 1.00"},
    {100, NULL, " 1.00"},
    {100, "usdx", "$1.00"},
};

int
main(void)
{
	struct buf text = BUF_INIT(64);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&text);
		money_text(&text, rows[i].amount, rows[i].currency);
		is_text(buf_string(&text), rows[i].wanted, rows[i].wanted);
	}
	buf_release(&text);
	return tap_end();
}
