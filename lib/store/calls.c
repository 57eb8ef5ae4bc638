#include "store/calls.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decide/call.h"

/* Only for reading: the visitor's lead owns nothing. */
static char *
borrow(struct db_rows *rows, int column)
{
	return (char *)(uintptr_t)db_text(rows, column);
}

bool
calls_waiting(
    struct db *db, calls_visit *visit, void *context, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT l.id, l.organization_id, l.name, l.phone, l.bad_phone, "
	    "l.status, l.created_at, o.id, o.status, o.deleted_at, (SELECT "
	    "count(*) FROM calls c WHERE c.lead_id = l.id AND c.state IN "
	    "('claimed', 'placed')) FROM leads l LEFT JOIN organizations o "
	    "ON o.id = l.organization_id WHERE l.status = 'pending' ORDER BY "
	    "l.created_at, l.id",
	    "");
	bool more = true;

	while (more && db_next(rows)) {
		const struct lead lead = {.known = true,
		    .id = borrow(rows, 0),
		    .organization_id = borrow(rows, 1),
		    .name = borrow(rows, 2),
		    .phone = borrow(rows, 3),
		    .bad_phone = borrow(rows, 4),
		    .status = borrow(rows, 5),
		    .created_at = db_int(rows, 6),
		    .open_calls = db_int(rows, 10)};
		const struct organization organization = {
		    .known = !db_is_null(rows, 7),
		    .id = borrow(rows, 7),
		    .status = borrow(rows, 8),
		    .deleted_at = db_int(rows, 9)};

		more = visit(context, &lead, &organization);
	}
	return db_done(rows, error);
}

bool
calls_troubled(
    struct db *db, int64_t since, bool *troubled, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT state, disconnection_reason FROM calls WHERE state = "
	    "'failed' AND created_at > $1 UNION ALL SELECT state, NULL FROM "
	    "calls WHERE state = 'claimed' AND created_at > $1",
	    "i", since);

	*troubled = false;
	while (db_next(rows))
		if (strcmp(db_text(rows, 0), "claimed") == 0 ||
		    call_bodes_ill(db_text(rows, 1)))
			*troubled = true;
	return db_done(rows, error);
}

bool
calls_overdue(struct db *db, int64_t now, int64_t limit,
    struct calls_overdue *overdue, struct error *error)
{
	struct db_rows *rows = db_query(db,
	    "SELECT id, call_id, lead_id, organization_id, state = 'claimed', "
	    "deadline_at FROM calls WHERE state IN ('claimed', 'placed') AND "
	    "deadline_at <= $1 ORDER BY deadline_at, id LIMIT $2",
	    "ii", now, limit);
	struct calls_overdue_row *row;

	memset(overdue, 0, sizeof(*overdue));
	while (db_next(rows)) {
		overdue->rows =
		    mem_resize(overdue->rows, overdue->count + 1, sizeof(*row));
		row = &overdue->rows[overdue->count++];
		row->id = mem_copy(db_text(rows, 0));
		row->call_id = mem_copy(db_text(rows, 1));
		row->lead_id = mem_copy(db_text(rows, 2));
		row->organization_id = mem_copy(db_text(rows, 3));
		row->claimed = db_int(rows, 4) != 0;
		row->deadline_at = db_int(rows, 5);
	}
	return db_done(rows, error);
}

void
calls_overdue_release(struct calls_overdue *overdue)
{
	size_t i;

	for (i = 0; i < overdue->count; i++) {
		free(overdue->rows[i].id);
		free(overdue->rows[i].call_id);
		free(overdue->rows[i].lead_id);
		free(overdue->rows[i].organization_id);
	}
	free(overdue->rows);
	memset(overdue, 0, sizeof(*overdue));
}

bool
calls_postpone(
    struct db *db, const char *id, int64_t until, struct error *error)
{
	return db_run(db, error,
	    "UPDATE calls SET deadline_at = $2 WHERE id = $1 AND state IN "
	    "('claimed', 'placed')",
	    "ti", id, until);
}
