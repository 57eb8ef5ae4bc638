/*
 * The ledger of usage, against a real database: what two runs at once, counts
 * that fall and answers that come make of it.
 */
#include <stdlib.h>

#include "../store.h"
#include "../tap.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/usage.h"

#define DAY (20784 * (int64_t)CLOCK_DAY_S) /* 2026-11-27 */
#define NIGHT (DAY + 26 * 3600)
#define SETTLE_S (6 * 3600)

static struct conf conf;
static struct db *db;
static struct error error;
static const struct usage_meter meter = {
    (char[]){"ai_calls"}, (char[]){"customer"}, (char[]){"value"}};

static void
call(int count, const char *organization)
{
	static int number;

	while (count-- > 0) {
		number++;
		if (!db_run(db, &error,
			"INSERT INTO calls (id, organization_id, state, "
			"placed_at, connected, created_at) VALUES ('c' || $1, "
			"$2, 'ended', $3, $1 % 2, 0)",
			"iti", (int64_t)number, organization,
			DAY + number % CLOCK_DAY_S))
			store_broken(error.text);
	}
}

static void
count(struct usage_page *page)
{
	if (!usage_count(db, &conf, DAY, NULL, NULL, page, &error))
		store_broken(error.text);
}

static void
report(struct usage_page *page, int64_t now)
{
	if (!usage_report(db, &conf, &meter, page, now, &error))
		store_broken(error.text);
}

static void
test_two_at_once(void)
{
	struct usage_page slow = {0}, quick = {0};

	call(3, "org_1");
	count(&slow);
	call(2, "org_1");
	count(&quick);
	report(&quick, NIGHT);
	is_int(quick.rows[0].reported, 5, "the quicker of two runs reports");
	report(&slow, NIGHT);
	is_int(slow.rows[0].reported, 0, "the slower one leaves it alone");
	is_text(ask(&conf, "SELECT counted || ' ' || sent FROM usage"), "5 5",
	    "what was newer stays");
	is_text(ask(&conf,
		    "SELECT count(*) FROM deliveries WHERE destination "
		    "= 'stripe.meter'"),
	    "1", "one delivery");
	is_text(ask(&conf,
		    "SELECT e.kind || ' ' || e.organization_id FROM "
		    "events e JOIN deliveries d ON d.event_id = e.id"),
	    "usage.reported org_1", "of an event of its own");
	usage_page_release(&slow);
	usage_page_release(&quick);
}

static void
test_pages(void)
{
	struct usage_page page = {0};
	int64_t kept;

	call(1, "org_2");
	call(1, "org_3");
	call(4, NULL);
	count(&page);
	is_int((int64_t)page.count, 3, "a row for each organization");
	is_text(page.rows[2].organization_id, "org_3", "in order");
	ok(!page.rows[2].known && page.rows[2].customer_id == NULL,
	    "one nobody knows as well");
	usage_page_release(&page);
	if (!usage_count(db, &conf, DAY, "org_1", NULL, &page, &error))
		store_broken(error.text);
	is_text(page.rows[0].organization_id, "org_2", "from behind another");
	report(&page, NIGHT);
	usage_page_release(&page);
	if (!usage_count(db, &conf, DAY, NULL, "org_2", &page, &error))
		store_broken(error.text);
	is_int((int64_t)page.count, 1, "or of one alone");
	is_int(page.rows[0].sent, 1, "with what the ledger has");
	usage_page_release(&page);
	if (!usage_unattributed(db, &conf, DAY, &kept, &error))
		store_broken(error.text);
	is_int(kept, 4, "those of nobody apart");
	conf.usage_count = CONF_CONNECTED;
	count(&page);
	ok(page.rows[0].counted < 5, "and only those answered, if so wanted");
	usage_page_release(&page);
	conf.usage_count = CONF_PLACED;
}

static void
test_vanished(void)
{
	struct usage_page page = {0};

	if (!db_run(db, &error, "DELETE FROM calls WHERE organization_id = $1",
		"t", "org_2") ||
	    !usage_vanished(db, &conf, DAY, NULL, NULL, &page, &error))
		store_broken(error.text);
	is_int((int64_t)page.count, 1, "calls that are gone");
	report(&page, NIGHT);
	is_int(page.rows[0].reported, 0, "are not reported as fewer");
	usage_page_release(&page);
	is_text(ask(&conf,
		    "SELECT counted || ' ' || sent FROM usage WHERE "
		    "organization_id = 'org_2'"),
	    "0 1", "but noted");
}

/* What Stripe says of org_1, while the delivery is in that state. */
static struct usage_row
settle(int64_t stripe, const char *state, int64_t now)
{
	struct usage_filter filter = {.span = {DAY, DAY + CLOCK_DAY_S},
	    .only = "org_1",
	    .all = true,
	    .settle_s = SETTLE_S};
	struct usage_page page = {0};
	struct usage_row *const rows[] = {&page.rows[0]};
	struct usage_row row;
	char *sql = mem_format("UPDATE deliveries SET state = '%s' WHERE "
			       "organization_id = 'org_1'",
	    state);

	change(&conf, sql);
	free(sql);
	if (!usage_unsettled(db, &filter, NULL, now, &page, &error))
		store_broken(error.text);
	if (page.count != 1) {
		printf("# %zu rows\n", page.count);
		return (struct usage_row){.cause = "none"};
	}
	page.rows[0].state.customer_known = true;
	page.rows[0].state.stripe = stripe;
	if (!usage_settle(db, rows, 1, now, SETTLE_S, &error))
		store_broken(error.text);
	row = page.rows[0];
	usage_page_release(&page);
	return row;
}

static void
test_settling(void)
{
	const int64_t now = NIGHT + SETTLE_S;
	struct usage_row row;

	is_text(settle(3, "done", now - 1).cause, "none",
	    "before its time nothing is compared");
	row = settle(3, "queued", now);
	is_text(row.cause, "pending", "what is queued is a drift");
	row = settle(3, "dead", now);
	is_text(row.cause, "rejected", "what is dead another cause of it");
	is_int(row.drift_id, 1, "under the same number");
	row = settle(5, "dead", now + 60);
	is_int(row.verdict, USAGE_CONFIRMED, "equal in the end");
	is_text(ask(&conf,
		    "SELECT state FROM deliveries WHERE "
		    "organization_id = 'org_1'"),
	    "cancelled", "there is nothing to be sent again");
	is_text(
	    ask(&conf, "SELECT count(*) FROM drifts WHERE ended_at IS NULL"),
	    "0", "and the drift is over");
	is_text(ask(&conf,
		    "SELECT confirmed || ' ' || (settled_at IS NOT NULL) "
		    "FROM usage WHERE organization_id = 'org_1'"),
	    "5 1", "settled");
	row = settle(4, "done", now + 60 + SETTLE_S);
	ok(row.verdict == USAGE_DRIFT && row.drift_id == 2,
	    "a later difference is a drift of its own");
}

/* Between the reading of a row and the answer about it. */
static void
test_changed_meanwhile(void)
{
	struct usage_row row = {.organization_id = (char[]){"org_1"},
	    .day_at = DAY,
	    .counted = 5,
	    .sent = 5,
	    .state = {.customer_known = true, .stripe = 9}};
	struct usage_row *const rows[] = {&row};

	change(&conf,
	    "UPDATE usage SET counted = 9, sent = 9 WHERE "
	    "organization_id = 'org_1'");
	if (!usage_settle(db, rows, 1, NIGHT + 9 * SETTLE_S, SETTLE_S, &error))
		store_broken(error.text);
	ok(row.verdict == USAGE_WAIT && row.cause == NULL,
	    "what another run reports meanwhile is no drift");
}

int
main(void)
{
	store_conf(&conf, scratch("usage.db"));
	conf.usage_count = CONF_PLACED;
	if (!db_open(&db, &conf, DB_WRITE, &error))
		store_broken(error.text);
	change(&conf,
	    "INSERT INTO organizations (id, status, status_at, "
	    "stripe_customer_id, created_at) VALUES ('org_1', "
	    "'active', 0, 'cus_1', 0), ('org_2', 'active', 0, "
	    "'cus_2', 0)");
	test_two_at_once();
	test_pages();
	test_vanished();
	test_settling();
	test_changed_meanwhile();
	db_close(db);
	conf_release(&conf);
	return tap_end();
}
