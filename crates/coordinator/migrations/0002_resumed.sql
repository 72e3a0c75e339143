-- Whether a job's tasks may go on from checkpoints: until a result that did was wrong.
ALTER TABLE jobs ADD COLUMN checkpoints INTEGER NOT NULL DEFAULT 1 CHECK (checkpoints IN (0, 1));
-- The same, as the node was told when it got the lease.
ALTER TABLE leases ADD COLUMN checkpoints INTEGER NOT NULL DEFAULT 1 CHECK (checkpoints IN (0, 1));
