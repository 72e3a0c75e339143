-- Digests and ids are 32-byte blobs, addresses 20-byte blobs, amounts decimal text (they exceed 64 bits),
-- times unix milliseconds.

-- What this store belongs to: one row.
CREATE TABLE identity (
    chain_id   INTEGER NOT NULL,
    settlement BLOB NOT NULL
) STRICT;

CREATE TABLE nodes (
    node         BLOB PRIMARY KEY,
    payout       BLOB NOT NULL,
    issued_at    INTEGER NOT NULL,  -- of the payout binding, unix seconds
    signature    BLOB NOT NULL,     -- the payout key's, over the binding
    cores        INTEGER NOT NULL,
    memory_bytes INTEGER NOT NULL,
    engine       TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
    job       BLOB PRIMARY KEY,
    requester BLOB NOT NULL,
    submitted TEXT NOT NULL,        -- the signed order with everything it came with, as JSON
    -- Repeated from it, so that a result need not read a long order:
    name         TEXT NOT NULL,
    module       BLOB NOT NULL,
    price        TEXT NOT NULL,
    quorum       INTEGER NOT NULL,
    deadline     INTEGER NOT NULL,  -- unix seconds
    output_bytes INTEGER NOT NULL,
    budget    TEXT NOT NULL,
    spent     TEXT NOT NULL DEFAULT '0',
    tasks     INTEGER NOT NULL,
    open      INTEGER NOT NULL,     -- tasks that are neither validated nor failed
    failed    INTEGER NOT NULL DEFAULT 0,
    state     TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed'))
) STRICT;
CREATE INDEX jobs_running ON jobs (state) WHERE state = 'running';

CREATE TABLE tasks (
    task       BLOB PRIMARY KEY,
    job        BLOB NOT NULL REFERENCES jobs (job),
    number     INTEGER NOT NULL,    -- position in the job
    input      BLOB NOT NULL,
    input_size INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'validated', 'failed')),
    truth      BLOB,                -- the result digest, once a replay knows it
    UNIQUE (job, number)
) STRICT;
CREATE INDEX tasks_by_state ON tasks (state);

CREATE TABLE leases (
    lease         BLOB PRIMARY KEY,
    task          BLOB NOT NULL REFERENCES tasks (task),
    node          BLOB NOT NULL,
    payout        BLOB NOT NULL,    -- who is paid, as bound when the lease was given
    runtime_class TEXT NOT NULL,
    issued_at     INTEGER NOT NULL,
    live          INTEGER NOT NULL CHECK (live IN (0, 1))
) STRICT;
CREATE INDEX leases_live ON leases (task) WHERE live = 1;

-- Results that vote. A payout has one vote on a task.
CREATE TABLE results (
    arrival     INTEGER PRIMARY KEY AUTOINCREMENT,
    lease       BLOB NOT NULL UNIQUE REFERENCES leases (lease),
    task        BLOB NOT NULL REFERENCES tasks (task),
    node        BLOB NOT NULL,
    payout      BLOB NOT NULL,
    body        TEXT NOT NULL,      -- the signed result as JSON
    output_size INTEGER NOT NULL,
    verdict     TEXT NOT NULL CHECK (verdict IN ('awaiting', 'accepted', 'rejected', 'void')),
    UNIQUE (task, payout)
) STRICT;
CREATE INDEX results_by_payout ON results (payout, verdict);
CREATE INDEX results_by_node ON results (node, verdict);

-- Endings that say nothing about the program: the host failed, or a limit that differs from machine to machine.
CREATE TABLE failures (
    lease   BLOB PRIMARY KEY REFERENCES leases (lease),
    task    BLOB NOT NULL REFERENCES tasks (task),
    node    BLOB NOT NULL,
    outcome TEXT NOT NULL,
    code    TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX failures_by_task ON failures (task);

-- Results that a replay proved wrong.
CREATE TABLE faults (
    node   BLOB NOT NULL,
    task   BLOB NOT NULL REFERENCES tasks (task),
    module BLOB NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (node, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    decided INTEGER PRIMARY KEY AUTOINCREMENT,
    task    BLOB NOT NULL UNIQUE REFERENCES tasks (task),
    receipt TEXT NOT NULL,          -- the signed receipt as JSON
    epoch   INTEGER REFERENCES epochs (epoch)
) STRICT;
CREATE INDEX receipts_by_epoch ON receipts (epoch);

-- Who a receipt concerns: requester, nodes, payouts.
CREATE TABLE parties (
    account BLOB NOT NULL,
    decided INTEGER NOT NULL REFERENCES receipts (decided),
    PRIMARY KEY (account, decided)
) STRICT, WITHOUT ROWID;

-- The ledger: double entry, append-only. Balances follow the entries in the same SQL transaction.
CREATE TABLE transactions (
    tx        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL CHECK (kind IN ('deposit', 'reserve', 'verdict', 'refund')),
    reference BLOB,                 -- job or task; a kind happens to it once
    UNIQUE (kind, reference)
) STRICT;

CREATE TABLE entries (
    tx      INTEGER NOT NULL REFERENCES transactions (tx),
    account TEXT NOT NULL,
    amount  TEXT NOT NULL,
    PRIMARY KEY (tx, account)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entries_are_final BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;
CREATE TRIGGER entries_stay BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'ledger entries are append-only'); END;

CREATE TABLE balances (
    account TEXT PRIMARY KEY,
    balance TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    epoch       INTEGER PRIMARY KEY,
    file        BLOB NOT NULL,      -- the exact bytes whose hash is on chain
    state       TEXT NOT NULL CHECK (state IN ('built', 'proposed', 'finalized')),
    built_at    INTEGER NOT NULL,
    propose_tx  BLOB,
    finalize_tx BLOB
) STRICT;
