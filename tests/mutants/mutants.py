"""Faults that somebody could make in the engine, each with tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass

SAVES = "tests/integration/aggregates/test_saves.py"
DELETES = "tests/integration/aggregates/test_deletes.py"
RECEIVERS = "tests/integration/aggregates/test_receivers.py"
TRANSACTIONS = "tests/integration/aggregates/test_transactions.py"
EVERY_CALL = "tests/faults/test_every_call.py"
SWALLOWED = "tests/faults/test_swallowed.py"
DRIFT = "tests/integration/aggregates/test_drift.py"
WRITERS = "tests/concurrency/test_writers.py"
PARENTS = "tests/integration/aggregates/test_foreign_keys.py"
PARENTS_AT_ONCE = "tests/concurrency/test_foreign_keys.py"
STATES = "tests/integration/aggregates/test_states.py"
COMMITS = "tests/faults/test_commits.py"
CUT_OFF = "tests/faults/test_lost_replies.py"


ROW_LOCKS = ("postgresql", "mysql")  # SQLite has one writer


@dataclass(frozen=True)
class Mutant:
    """``old`` becomes ``new`` wherever it stands in the file, and one of the tests must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    on: tuple[str, ...] = ("sqlite",)
    """The databases it is shown on: those that have the fault, and the quickest of them."""
    by_states: bool = False
    """Whether the machine that writes at random is shown to notice it as well."""


MUTANTS = (
    Mutant(
        "the pre-image is read without a lock",
        "aggregates/images.py",
        ".select_for_update()",
        "",
        (f"{WRITERS}::test_a_save_waits_for_another_of_the_same_expense_and_leaves_no_drift",
         f"{WRITERS}::test_a_draft_submitted_twice_at_once_is_counted_once"),
        on=("mysql",),
    ),
    Mutant(
        "the statement of a save reads the row without a lock",
        "aggregates/returning.py",
        " FOR UPDATE",
        "",
        (f"{WRITERS}::test_a_save_waits_for_another_of_the_same_expense_and_leaves_no_drift",
         f"{WRITERS}::test_a_draft_submitted_twice_at_once_is_counted_once"),
        on=("postgresql",),
    ),
    Mutant(
        "the post-image is taken from the instance",
        "aggregates/writes.py",
        "    def stored(self) -> deltas.Image:\n",
        "    def stored(self) -> deltas.Image:\n"
        '        if isinstance(self, InstanceSave) and self.scope.definition.label == "testapp.TicketTotals":\n'
        "            return {(self.instance.gate,): (self.instance.price, 1)}\n",
        ("tests/integration/aggregates/test_inheritance.py::test_update_fields_of_a_child_count_what_is_stored",),
    ),
    Mutant(
        "a save with update_fields is ignored",
        "aggregates/receivers.py",
        "if scope.concerns(update_fields):",
        "if update_fields is None:",
        (f"{SAVES}::test_update_fields_counts_what_is_stored_and_nothing_else",),
    ),
    Mutant(
        "totals are written in any order",
        "aggregates/store.py",
        "sorted(rows, key=attrgetter(\"digits\"))",
        "rows",
        ("tests/integration/aggregates/test_statements.py::test_totals_are_written_in_the_order_of_their_keys",),
    ),
    Mutant(
        "a row that moves is not taken out of its old bucket",
        "aggregates/deltas.py",
        "*negative(before).items(), *after.items()",
        "*((v, a) for v, a in negative(before).items() if v in after or not after), *after.items()",
        (f"{SAVES}::test_a_changed_row_leaves_its_old_buckets_and_joins_its_new_ones",),
        by_states=True,
    ),
    Mutant(
        "cascades go past the tracked manager",
        "aggregates/models.py",
        '        base_manager_name = "objects"\n\n    def save_base(',
        "\n    def save_base(",
        (f"{DELETES}::test_set_null_moves_the_children_to_the_bucket_without",
         f"{DELETES}::test_set_constant_moves_the_children_to_its_bucket"),
    ),
    Mutant(
        "rows that the filter leaves out are counted",
        "aggregates/images.py",
        "if not definition.where:",
        "if True:",
        (f"{SAVES}::test_a_changed_row_leaves_its_old_buckets_and_joins_its_new_ones",),
    ),
    Mutant(
        "a correction applies whatever the generation",
        "aggregates/upsert.py",
        "guard = f\"{expression(F('generation'))} = {sets['generation']} - 1\"",
        'guard = ""',
        (f"{DRIFT}::test_findings_applied_a_second_time_correct_nothing",),
    ),
    Mutant(
        "sums are rounded",
        "aggregates/deltas.py",
        "Context(prec=100, traps=[Inexact, InvalidOperation])",
        "Context(prec=6)",
        (f"{SAVES}::test_the_decimal_context_of_the_caller_changes_no_total",),
    ),
    Mutant(
        "what a savepoint's rollback undid is not forgotten",
        "aggregates/undo.py",
        "return bool(self._undone) and any(first < moment <= last for first, last in self._undone)",
        "return False",
        (f"{TRANSACTIONS}::test_a_savepoint_rolled_back_inside_a_batch_takes_its_deltas_along",
         f"{RECEIVERS}::test_a_receiver_of_a_later_save_writes_and_the_row_counts_once"),
    ),
    Mutant(
        "only rollbacks by atomic() are noticed",
        "aggregates/undo.py",
        "if match := SAVEPOINT.match(sql):",
        'if (match := SAVEPOINT.match(sql)) and "ROLLBACK" not in sql:',
        (f"{TRANSACTIONS}::test_a_savepoint_rolled_back_by_hand_inside_a_batch_takes_its_deltas_along",),
    ),
    Mutant(
        "deletes are not queued",
        "aggregates/receivers.py",
        "book.queue_delete(scope, instance)",
        "pass",
        (f"{DELETES}::test_a_deleted_row_is_out_of_its_totals", f"{DELETES}::test_a_cascade_takes_out_every_child"),
    ),
    Mutant(
        "a deleted row is taken for gone, whatever a receiver did",
        "aggregates/ledger.py",
        "gone = scope.is_source and not write.disturbed",
        "gone = scope.is_source",
        (f"{RECEIVERS}::test_a_receiver_of_a_delete_writes_and_totals_stay_exact",),
    ),
    Mutant(
        "NULL and the empty text have one key",
        "aggregates/keys.py",
        'return "n", ""',
        'return "s", ""',
        ("tests/unit/aggregates/test_keys.py",),
    ),
    Mutant(
        "a fold forgets what it folds",
        "aggregates/folding.py",
        "homes = store.at_slot_0(definition, locked)",
        "homes = []",
        (f"{DRIFT}::test_rebuild_repairs_what_drifted",),
    ),
    Mutant(
        "a row inserted under the key being saved is counted twice",
        "aggregates/ledger.py",
        "if write is None or not (created or write.existed or write.disturbed):",
        "if write is None:",
        (f"{WRITERS}::test_a_save_that_meets_a_row_inserted_since_is_tried_again",),
        on=("mysql",),
    ),
    Mutant(
        "a set write reads its rows without locking them",
        "aggregates/images.py",
        'rows.order_by("pk").select_for_update()',
        'rows.order_by("pk")',
        ("tests/concurrency/test_orders.py::test_no_order_of_the_steps_of_two_writers_loses_anything"
         "[a cascade and an update]",),
        on=("postgresql",),
    ),
    Mutant(
        "the server writes totals in any order",
        "aggregates/projection.py",
        " ORDER BY id",
        "",
        ("tests/integration/aggregates/test_server_keys.py::test_the_server_writes_totals_in_the_order_of_their_keys",),
        on=("postgresql",),
    ),
    Mutant(
        "what a row became is taken for what it was",
        "aggregates/returning.py",
        "for part in (row[:width], row[width:])",
        "for part in (row[width:], row[width:])",
        (f"{SAVES}::test_a_changed_row_leaves_its_old_buckets_and_joins_its_new_ones",),
        on=("postgresql",),
    ),
    Mutant(
        "a new row goes into its totals before the batch ends, and again",
        "aggregates/models.py",
        "if not book.applier.holds_back and combined.can_insert",
        "if combined.can_insert",
        ("tests/integration/aggregates/test_statements.py::test_a_first_save_in_a_batch_leaves_the_totals_to_its_end",),
        on=("postgresql",),
    ),
    Mutant(
        "rows of a cascade are added to their totals instead of taken out",
        "aggregates/capture.py",
        "{names.taken} FROM locked)",
        "{names.changes} FROM locked)",
        ("tests/integration/aggregates/test_captured.py",),
        on=("postgresql",),
    ),
    Mutant(
        "a row that goes by itself is added to its totals instead of taken out",
        "aggregates/capture.py",
        "taken = names.taken if is_one",
        "taken = names.changes if is_one",
        (f"{WRITERS}::test_a_delete_waits_for_a_save_and_takes_out_what_it_stored",),
        on=("postgresql",),
    ),
    Mutant(
        "a set write forgets what its rows contributed before",
        "aggregates/projection.py",
        "f\"{sign}SUM({name})\"",
        "f\"{sign and '0 * '}SUM({name})\"",
        ("tests/integration/aggregates/test_captured.py",),
        on=("postgresql",),
    ),
    Mutant(
        "an update writes rows that joined after it locked its own",
        "aggregates/querysets.py",
        "if not connections[self.db].features.has_select_for_update:",
        "if True:",
        (f"{WRITERS}::test_an_update_leaves_out_a_row_inserted_after_it_locked_its_own",),
        on=("mysql",),
    ),
    Mutant(
        "a refused write can be committed without its totals",
        "aggregates/models.py",
        "transaction.set_rollback(True, using=using)",
        "pass",
        (f"{TRANSACTIONS}::test_a_refused_write_whose_error_the_caller_swallows_is_not_committed",),
    ),
    Mutant(
        "a parent that moves leaves its sums behind",
        "aggregates/registry.py",
        "for scope in definition.scopes",
        "for scope in definition.scopes[-1:]",
        (f"{PARENTS}::test_the_sums_move_to_where_the_parent_went",),
    ),
    Mutant(
        "writers do not lock the parents they read",
        "aggregates/locks.py",
        "for batch in batched(sorted(keys), KEYS_A_STATEMENT):",
        "for batch in ():",
        (f"{PARENTS_AT_ONCE}::test_who_writes_second_waits_for_the_first_to_commit",),
        on=ROW_LOCKS,
    ),
    Mutant(
        "totals are written after the commit",
        "aggregates/applying.py",
        "self.changed(definition, store.apply(definition, self._using, delta))\n\n    def take",
        "transactions.connections[self._using].on_commit(lambda: store.apply(definition, self._using, delta))\n\n"
        "    def take",
        (f"{COMMITS}::test_a_commit_without_a_reply_is_in_doubt_and_not_tried_again[made-run]",),
    ),
    Mutant(
        "a conflict is tried again in its savepoint and not from where the transaction began",
        "aggregates/transactions.py",
        "    if connections[using].in_atomic_block:\n",
        "    if not connections[using].in_atomic_block:\n        with commits.outermost(using):\n    ",
        (f"{COMMITS}::test_a_conflict_within_a_block_is_tried_again_from_where_the_transaction_began",),
        on=("postgresql",),
    ),
    Mutant(
        "a commit that failed is taken for one",
        "aggregates/undo.py",
        "            if commits.leaves_open(error):\n"
        "                raise commits.in_doubt(error) from error\n"
        "            raise\n",
        "            return\n",
        (f"{COMMITS}::test_a_commit_without_a_reply_is_in_doubt_and_not_tried_again[not made-run]",),
    ),
    Mutant(
        "what was committed as its connection was lost is taken for lost",
        "aggregates/undo.py",
        "server is not None and server.closed",
        "False",
        (f"{COMMITS}"
         "::test_a_connection_that_is_lost_with_the_reply_to_its_commit_is_no_sign_that_nothing_is_stored",),
        on=("postgresql",),
    ),
    Mutant(
        "a request is acknowledged before its transaction is committed",
        "api/expense_writes.py",
        "    try:\n        return transactions.run(operation, using=router.db_for_write(Expense))\n",
        "    done: list[T] = []\n"
        "    try:\n"
        "        transactions.run(lambda: done.append(operation()), using=router.db_for_write(Expense))\n"
        "        return done[-1]\n"
        "    except transactions.DatabaseError:\n"
        "        if done:\n"
        "            return done[-1]\n"
        "        raise\n",
        (f"{CUT_OFF}::test_a_write_whose_commit_is_cut_off_is_in_doubt_and_its_repeat_writes_once",),
        on=("postgresql",),
    ),
    Mutant(
        "a write returns although an error in it was swallowed",
        "aggregates/transactions.py",
        "    undo.require_whole(connection)\n",
        "",
        (f"{SWALLOWED}::test_a_write_returns_only_if_it_is_stored_whatever_its_receiver_swallows",),
        on=("sqlite",),
    ),
    Mutant(
        "a COMMIT that PostgreSQL answers with a rollback is taken for one",
        "aggregates/undo.py",
        "        if not self.ended:\n            require_whole(connection)\n",
        "",
        (f"{SWALLOWED}::"
         "test_a_block_that_swallows_an_error_after_its_write_does_not_end_as_if_it_were_committed",),
        on=("postgresql",),
    ),
    Mutant(
        "a write is tried again with the key of its first try",
        "aggregates/instances.py",
        "        if attempted:\n",
        "        if False:\n",
        ("tests/faults/test_tried_again.py"
         "::test_a_new_row_that_is_tried_again_takes_no_key_that_another_got_meanwhile",
         "tests/faults/test_tried_again.py::test_a_delete_whose_commit_is_refused_is_tried_again"),
    ),
)  # fmt: skip
