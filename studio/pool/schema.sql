-- The tables of a pool: one SQLite file, `application_id` 0x53495331 (the bytes SIS1). All texts are UTF-8, all times ISO 8601 in UTC,
-- all scores ROUGE-L F1 from 0 to 1. Small columns come first and long texts last, so that what counts rows reads no texts.

-- Runs and rounds ------------------------------------------------------------------------------------------------------------------------

CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,               -- of the model file; empty for a server's
    name TEXT NOT NULL,
    quantisation TEXT NOT NULL,
    licence TEXT NOT NULL,
    architecture TEXT NOT NULL,
    parameters INTEGER NOT NULL,
    context_length INTEGER NOT NULL,    -- tokens
    file_size INTEGER NOT NULL,         -- bytes
    UNIQUE (sha256, name)
);

-- One row for each set of settings that generated here; a resumed run goes on in its own row.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    model_id INTEGER NOT NULL REFERENCES models (id),
    seed TEXT NOT NULL,
    studio_version TEXT NOT NULL,
    started_at TEXT NOT NULL,
    settings TEXT NOT NULL CHECK (json_valid(settings))
);

-- The models of stages that have one of their own; all others are asked of the run's.
CREATE TABLE run_models (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    stage TEXT NOT NULL CHECK (stage IN ('instructions', 'filter', 'classify', 'instances', 'answer')),
    model_id INTEGER NOT NULL REFERENCES models (id),
    PRIMARY KEY (run_id, stage)
) WITHOUT ROWID;

-- A round that a person had written anew leaves its former attempt behind, with the same number: 'superseded', with all that it had. The
-- view `standing_rounds` is without these.
CREATE TABLE rounds (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    number INTEGER NOT NULL,            -- counts from 1 through the whole pool
    stage TEXT NOT NULL                 -- the next stage to do
        CHECK (stage IN ('sample', 'instructions', 'filter', 'classify', 'instances', 'answer', 'commit', 'done', 'superseded')),
    started_at TEXT NOT NULL,
    finished_at TEXT,
    max_nats REAL,                      -- a token: less likely instructions were rejected; null where likelihood decided nothing
    max_answer_nats REAL,               -- the same of answers
    overrides TEXT                      -- the parameters that hold for this round alone, by dotted key
        CHECK (overrides IS NULL OR json_valid(overrides)),
    kept TEXT                           -- what a superseded attempt goes on from when it is brought back: stage, overrides, its tasks' states
        CHECK (kept IS NULL OR json_valid(kept))
);
CREATE INDEX rounds_run ON rounds (run_id, number);
CREATE UNIQUE INDEX rounds_number ON rounds (number) WHERE stage <> 'superseded';
-- One round at most is unfinished.
CREATE UNIQUE INDEX rounds_open ON rounds ((1)) WHERE stage NOT IN ('done', 'superseded');

CREATE VIEW standing_rounds AS SELECT * FROM rounds WHERE stage <> 'superseded';
CREATE VIEW open_round AS SELECT * FROM rounds WHERE stage NOT IN ('done', 'superseded');

-- Tasks ----------------------------------------------------------------------------------------------------------------------------------

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL CHECK (origin IN ('seed', 'generated', 'imported')),
    state TEXT NOT NULL CHECK (state IN ('draft', 'active', 'retired')),
    is_classification INTEGER CHECK (is_classification IN (0, 1)),              -- null while nobody has said
    round_id INTEGER REFERENCES rounds (id),                                    -- null for seeds and imports, as the next one
    candidate_id INTEGER UNIQUE REFERENCES candidates (id),
    compared INTEGER NOT NULL DEFAULT 1 CHECK (compared IN (0, 1)),             -- with new candidates; not where its candidate was rejected by
                                                                                -- a person, nor where its attempt is superseded
    marked INTEGER NOT NULL DEFAULT 0 CHECK (marked IN (0, 1)),                 -- for review
    held_out INTEGER NOT NULL DEFAULT 0 CHECK (held_out IN (0, 1)),             -- kept apart for evaluation: compared with every candidate,
                                                                                -- but never sampled, exported or trained on
    key TEXT NOT NULL DEFAULT '',                                               -- the id it had where it came from
    name TEXT NOT NULL DEFAULT '',
    instruction TEXT NOT NULL,
    -- A JSON object: what the pool that it was exported from knew of it beside its content. So it loses nothing when it leaves a pool as a
    -- raw file and comes into another. Null where nothing is known.
    provenance TEXT CHECK (provenance IS NULL OR json_valid(provenance))
);
CREATE INDEX tasks_state ON tasks (state, origin);
CREATE INDEX tasks_round ON tasks (round_id);
CREATE INDEX tasks_marked ON tasks (id) WHERE marked;
CREATE INDEX tasks_held_out ON tasks (id) WHERE held_out;

-- How seeds were kept apart when the pool was made.
CREATE TABLE hold_outs (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    asked TEXT NOT NULL,                -- a number or a share
    seed TEXT NOT NULL,
    held INTEGER NOT NULL CHECK (held > 0),
    created_at TEXT NOT NULL
);

-- Files that tasks were brought from. What has no file, tasks of a program for one, is not here.
CREATE TABLE imports (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL CHECK (origin IN ('seed', 'imported')),                -- of their tasks
    imported_at TEXT NOT NULL,
    sha256 TEXT NOT NULL,               -- of the file as it is stored
    size INTEGER NOT NULL,              -- bytes
    records INTEGER NOT NULL,
    tasks INTEGER NOT NULL,             -- that were new
    joined INTEGER NOT NULL,            -- instances that went to tasks that were there
    format TEXT NOT NULL,
    mapping TEXT NOT NULL,              -- where the fields of a task were found, as --map has it; empty where the keys said it
    licence TEXT NOT NULL,              -- as the hub says it; empty where nobody has said
    name TEXT NOT NULL                  -- without its folder; of the hub hf:owner/name@commit:file
);

-- Rejected instances stay, with the reason. What a person changed, `actions.changes` has as it was before.
CREATE TABLE instances (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    position INTEGER NOT NULL,          -- from 0
    request_id INTEGER REFERENCES requests (id),                                -- that wrote it, or its input alone; null for those of seeds
                                                                                -- and imports, and where no input was asked for
    answer_id INTEGER REFERENCES requests (id),                                 -- that wrote its output in the model's chat template
    agreement REAL,                     -- of that answer with the others that were drawn: mean ROUGE-L F1; null for a single one
    nats REAL,                          -- a token, of the first answer that was drawn; null where nobody measured
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected')),
    reason TEXT NOT NULL,
    decided_by TEXT NOT NULL CHECK (decided_by IN ('rule', 'human')),
    lost_to INTEGER,                    -- the position of the better answer that it was brought with, as the worse one of a pair; else null
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    thoughts TEXT,                      -- of the model before that output, where they are kept with the data; null elsewhere
    -- An instance that was a conversation is its first exchange, which every rule, lint and format knows. The rest is kept beside it, as it
    -- was, for the formats that have a place for it: the system turn, and what was said afterwards, [{role, text, thoughts}, ...]; null
    -- where there is none.
    system TEXT,
    turns TEXT CHECK (turns IS NULL OR json_valid(turns)),
    UNIQUE (task_id, position)
);
-- Begins with the task: were it the verdict, SQLite would look for one task's instances among all that are accepted.
CREATE INDEX instances_verdict ON instances (task_id, verdict, reason);
CREATE INDEX instances_rejected ON instances (reason, task_id) WHERE verdict = 'rejected';

-- The answers that an instance's was chosen among, that one too, with what the rules found of each; none where one alone was drawn.
CREATE TABLE drawn_answers (
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    request_id INTEGER NOT NULL REFERENCES requests (id),
    agreement REAL NOT NULL,            -- with the others that were drawn: mean ROUGE-L F1
    fault TEXT NOT NULL,                -- the reason code of the rule that it breaks, empty where it breaks none
    output TEXT,                        -- null where it is the whole completion, but for white space around it
    PRIMARY KEY (instance_id, request_id)
) WITHOUT ROWID;

-- What people hang on tasks, and one note on each at most.
CREATE TABLE task_tags (
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    place INTEGER NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (task_id, place),
    UNIQUE (task_id, tag)
) WITHOUT ROWID;
CREATE INDEX task_tags_tag ON task_tags (tag, task_id);

CREATE TABLE task_notes (
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    place INTEGER NOT NULL CHECK (place = 0),
    note TEXT NOT NULL,
    PRIMARY KEY (task_id, place)
) WITHOUT ROWID;

-- Documents ------------------------------------------------------------------------------------------------------------------------------

-- Files whose passages instructions are written for. A file that has changed is another document; one cut in another way as well.
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,               -- of the file
    passage_size INTEGER NOT NULL,      -- characters a passage has at most, that the next one says again at most, that one has at least
    passage_overlap INTEGER NOT NULL,
    passage_least INTEGER NOT NULL,
    characters INTEGER NOT NULL,        -- of the text that was read from it
    media_type TEXT NOT NULL,
    added_at TEXT NOT NULL,
    licence TEXT NOT NULL,              -- empty where nobody has said it
    name TEXT NOT NULL,                 -- its own, with the folders from the one that was named on
    UNIQUE (sha256, passage_size, passage_overlap, passage_least)
);

CREATE TABLE passages (
    id INTEGER PRIMARY KEY,
    document_id INTEGER NOT NULL REFERENCES documents (id),
    start INTEGER NOT NULL,             -- characters of the text that was read from the document, from 0
    stop INTEGER NOT NULL CHECK (stop > start),
    text TEXT NOT NULL
);
CREATE INDEX passages_document ON passages (document_id, start);

-- Requests and what came of them ---------------------------------------------------------------------------------------------------------

-- A few-shot template stands here once, however many requests begin with it.
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL
);

CREATE TABLE sampling (
    id INTEGER PRIMARY KEY,
    params TEXT NOT NULL UNIQUE CHECK (json_valid(params))
);

-- What stands around a prompt that is a user's turn in the model's own chat template: system, begins, writes_request, thinking.
CREATE TABLE chats (
    id INTEGER PRIMARY KEY,
    chat TEXT NOT NULL UNIQUE CHECK (json_valid(chat))
);

-- The prompt is the text of `prefix_id` followed by `suffix`: the view `request_prompts` has it whole.
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    round_id INTEGER NOT NULL REFERENCES rounds (id) DEFERRABLE INITIALLY DEFERRED,     -- two attempts pass each other by a number between
    stage TEXT NOT NULL CHECK (stage IN ('instructions', 'filter', 'classify', 'instances', 'answer')),
    source TEXT                         -- where instructions come from; null for other stages
        CHECK (source IN ('in_context', 'template', 'backtranslation', 'question')),
    ordinal INTEGER NOT NULL,           -- from 0; -1, -2 and so on for what a person asked for besides
    task_id INTEGER REFERENCES tasks (id),                                      -- that a classification or instance request is about
    prefix_id INTEGER NOT NULL REFERENCES prompts (id),
    sampling_id INTEGER NOT NULL REFERENCES sampling (id),
    chat_id INTEGER REFERENCES chats (id),                                      -- null for a raw text that the model goes on with
    passage_id INTEGER REFERENCES passages (id),                                -- that an instruction is to be written for
    seed INTEGER NOT NULL,
    suffix TEXT NOT NULL,
    UNIQUE (round_id, stage, ordinal)
);
CREATE INDEX requests_task ON requests (task_id);
CREATE INDEX requests_passage ON requests (passage_id, source) WHERE passage_id IS NOT NULL;

-- The in-context tasks of a request, in the order of the prompt: the parents of all it yields.
CREATE TABLE request_parents (
    request_id INTEGER NOT NULL REFERENCES requests (id),
    position INTEGER NOT NULL,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (request_id, position)
) WITHOUT ROWID;
CREATE INDEX request_parents_task ON request_parents (task_id);

-- Exactly what the model wrote, stored before anything of it is parsed.
CREATE TABLE completions (
    request_id INTEGER PRIMARY KEY REFERENCES requests (id),
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    probability REAL,                   -- of the first of given continuations, where one was chosen; null where text was written
    nats REAL,                          -- a token, of what was written, or of the prompt where it was measured; null where nobody measured
    detail TEXT NOT NULL,               -- what belongs to the finish reason: the stop sequence, what the server said
    text TEXT NOT NULL
);
-- Costs are summed up from this alone.
CREATE INDEX completions_cost ON completions (request_id, prompt_tokens, cached_tokens, completion_tokens, seconds);

CREATE TABLE candidates (
    id INTEGER PRIMARY KEY,
    request_id INTEGER NOT NULL REFERENCES requests (id),
    ordinal INTEGER NOT NULL,           -- from 0 within the completion
    nats REAL,                          -- a token, of the text as a user's turn in the model's template; null where nobody measured
    gain REAL,                          -- nats a token by which the passage that it was written for makes it likelier; null elsewhere
    text TEXT NOT NULL,
    input TEXT,                         -- this and the next where one completion writes whole tasks (the alpaca profile), or where the passage
                                        -- of a document is one of them
    output TEXT,
    UNIQUE (request_id, ordinal)
);

-- Append-only: the newest decision of a candidate holds, the older ones tell how it came about. Ask the view `verdicts`.
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    standing INTEGER NOT NULL DEFAULT 1 CHECK (standing IN (0, 1)),             -- whether it is the verdict; kept by the triggers below
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'rejected')),
    reason TEXT NOT NULL,
    score REAL NOT NULL,                -- the highest, to a task of any kind
    nearest_task_id INTEGER REFERENCES tasks (id),
    seed_score REAL NOT NULL,           -- the highest, to a seed
    mean_score REAL NOT NULL,           -- to all tasks
    decided_by TEXT NOT NULL CHECK (decided_by IN ('rule', 'human')),
    decided_at TEXT NOT NULL,
    action_id INTEGER REFERENCES actions (id),                                  -- null for the rule's own; to undo is to decide again
    edited TEXT                         -- what a person made of the candidate's text
);
CREATE INDEX decisions_candidate ON decisions (candidate_id, id);
CREATE UNIQUE INDEX decisions_standing ON decisions (candidate_id) WHERE standing;
CREATE INDEX decisions_counted ON decisions (reason, verdict, candidate_id, standing) WHERE standing;
CREATE INDEX decisions_rejected ON decisions (candidate_id) WHERE standing AND verdict = 'rejected';
CREATE INDEX decisions_by_hand ON decisions (decided_by, standing) WHERE standing AND decided_by = 'human';

CREATE TRIGGER decisions_overtaken BEFORE INSERT ON decisions BEGIN
    UPDATE decisions SET standing = 0 WHERE candidate_id = new.candidate_id AND standing;
END;
-- A candidate whose round a person had written anew has no verdict, whatever was decided of it then.
CREATE TRIGGER requests_moved AFTER UPDATE OF round_id ON requests BEGIN
    UPDATE decisions SET standing = EXISTS (SELECT 1 FROM standing_rounds WHERE id = new.round_id)
        WHERE id IN (
            SELECT (SELECT max(newest.id) FROM decisions AS newest WHERE newest.candidate_id = candidates.id)
            FROM candidates WHERE request_id = new.id
        );
END;

-- The most similar tasks of an accepted candidate, rank 0 the nearest.
CREATE TABLE neighbours (
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    rank INTEGER NOT NULL,
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    score REAL NOT NULL,
    PRIMARY KEY (candidate_id, rank)
) WITHOUT ROWID;

-- What people do -------------------------------------------------------------------------------------------------------------------------

-- Who writes here now; empty when nobody does. The lock itself is a file beside the pool: a killed writer leaves no lock behind.
CREATE TABLE writer (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    since TEXT NOT NULL
);

-- What a person did: undone and done again by its changes. In each scope the newest 'done' one is undone next, the oldest 'undone' one done
-- again next.
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL DEFAULT '',     -- empty for the pool itself; else the study and the rater, whose key presses are his own
    state TEXT NOT NULL                 -- 'settled': done for good, the run has built upon it; 'void': undone for good, something else was done
        CHECK (state IN ('done', 'undone', 'settled', 'void')),
    kind TEXT NOT NULL,                 -- a word for programs
    words TEXT NOT NULL,                -- words for people
    round_id INTEGER REFERENCES rounds (id),                                    -- the round that was open then, and the stage it was at
    stage TEXT,
    changes TEXT NOT NULL CHECK (json_valid(changes))                           -- every value before and after
);
CREATE INDEX actions_state ON actions (scope, state, id);

-- When an action was done, undone and done again.
CREATE TABLE action_steps (
    id INTEGER PRIMARY KEY,
    action_id INTEGER NOT NULL REFERENCES actions (id),
    step TEXT NOT NULL CHECK (step IN ('do', 'undo', 'redo')),
    at TEXT NOT NULL
);
CREATE INDEX action_steps_action ON action_steps (action_id);

-- What an action changed, by the table and id of what it is about: a task's tags are the task, a candidate's decision is the candidate.
CREATE TABLE action_targets (
    target TEXT NOT NULL CHECK (target IN ('tasks', 'candidates', 'instances', 'requests', 'rounds')),
    target_id INTEGER NOT NULL,
    action_id INTEGER NOT NULL REFERENCES actions (id),
    PRIMARY KEY (target, target_id, action_id)
) WITHOUT ROWID;

-- Reviews --------------------------------------------------------------------------------------------------------------------------------

-- A study of the pool: a random sample of generated tasks with one instance each, drawn once. Equal seed, size and strata are one review:
-- it is gone on with, and every rater rates the same sample.
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    seed TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),                                     -- what was asked for; a small pool has fewer
    strata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (seed, size, strata)
);

-- The texts as they were when the sample was drawn: all raters judge the same, whatever a person edits afterwards.
CREATE TABLE review_items (
    review_id INTEGER NOT NULL REFERENCES reviews (id),
    position INTEGER NOT NULL,          -- from 0
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    stratum TEXT NOT NULL,
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    PRIMARY KEY (review_id, position),
    UNIQUE (review_id, task_id)
) WITHOUT ROWID;
CREATE INDEX review_items_task ON review_items (task_id);
CREATE INDEX review_items_instance ON review_items (instance_id);

CREATE TABLE raters (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- What a rater says of an item now. A rating that was taken back whole is no row.
CREATE TABLE ratings (
    review_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    instruction_valid INTEGER CHECK (instruction_valid IN (0, 1)),              -- an answer is null until it is given
    input_appropriate INTEGER CHECK (input_appropriate IN (0, 1)),
    output_acceptable INTEGER CHECK (output_acceptable IN (0, 1)),
    skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped IN (0, 1)),
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (review_id, position, rater_id),
    FOREIGN KEY (review_id, position) REFERENCES review_items (review_id, position)
) WITHOUT ROWID;

-- Judges ---------------------------------------------------------------------------------------------------------------------------------

-- A model with the prompts it was asked by. Other prompts or another model are another judge.
CREATE TABLE judges (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models (id),
    prompt_version TEXT NOT NULL,
    UNIQUE (name, model_id, prompt_version)
);

-- Append-only: what a judge says in answer to one question about an instance.
CREATE TABLE opinions (
    id INTEGER PRIMARY KEY,
    judge_id INTEGER NOT NULL REFERENCES judges (id),
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    question TEXT NOT NULL CHECK (question IN ('instruction_valid', 'input_appropriate', 'output_acceptable')),
    seen TEXT NOT NULL,                 -- the digest of the texts it was shown: once a person has edited them, it is judged anew
    answer INTEGER CHECK (answer IN (0, 1)),                                    -- null when none came, `detail` then says why
    probability REAL,                   -- of yes; null where the engine sees no logits
    judged_at TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    UNIQUE (judge_id, instance_id, question, seen)
);
CREATE INDEX opinions_task ON opinions (task_id);

-- Finetuning and evaluation --------------------------------------------------------------------------------------------------------------

-- One LoRA training.
CREATE TABLE trainings (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model_id INTEGER NOT NULL REFERENCES models (id),                           -- the model the adapter is for
    fingerprint TEXT NOT NULL,          -- of its data: the sha256 of train.jsonl and validation.jsonl, one after the other
    folder TEXT NOT NULL,               -- where its files are, relative to the pool's own folder when they lie within
    steps INTEGER NOT NULL,             -- optimiser steps, planned
    state TEXT NOT NULL CHECK (state IN ('started', 'finished')),
    ended TEXT NOT NULL DEFAULT '',     -- why it is over: 'epochs' or 'early_stop'
    adapter TEXT NOT NULL DEFAULT '',
    adapter_sha256 TEXT NOT NULL DEFAULT '',
    studio_version TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    settings TEXT NOT NULL CHECK (json_valid(settings))
);

-- Which instances a training learned from and which it only measured itself by.
CREATE TABLE training_instances (
    training_id INTEGER NOT NULL REFERENCES trainings (id),
    instance_id INTEGER NOT NULL REFERENCES instances (id),
    task_id INTEGER NOT NULL REFERENCES tasks (id),
    side TEXT NOT NULL CHECK (side IN ('train', 'validation')),
    seen TEXT NOT NULL,                 -- the digest of the texts as they were then
    PRIMARY KEY (training_id, instance_id)
) WITHOUT ROWID;
CREATE INDEX training_instances_task ON training_instances (task_id);
CREATE INDEX training_instances_instance ON training_instances (instance_id);

-- Mean cross-entropy: of one optimiser step, or of the whole validation part after it (step 0: before any).
CREATE TABLE training_losses (
    training_id INTEGER NOT NULL REFERENCES trainings (id),
    side TEXT NOT NULL CHECK (side IN ('train', 'validation')),
    step INTEGER NOT NULL,
    loss REAL NOT NULL,                 -- nats a completion token
    tokens INTEGER NOT NULL,            -- passed through the model since the training began
    seconds REAL NOT NULL,              -- since then, pauses left out
    PRIMARY KEY (training_id, side, step)
) WITHOUT ROWID;

-- Tasks to answer and how they are answered. Equal items and settings are one evaluation, which later contestants join.
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,                 -- where the items come from
    fingerprint TEXT NOT NULL,          -- the sha256 of the items' texts
    settings TEXT NOT NULL CHECK (json_valid(settings)),
    created_at TEXT NOT NULL,
    UNIQUE (fingerprint, settings)
);

-- One question each, as it was then: an instruction with one input.
CREATE TABLE evaluation_items (
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    position INTEGER NOT NULL,          -- from 0
    task INTEGER NOT NULL,              -- tells items of one task by a number of its own within the evaluation
    task_id INTEGER REFERENCES tasks (id),                                      -- null for tasks that came from a file
    is_classification INTEGER NOT NULL CHECK (is_classification IN (0, 1)),
    key TEXT NOT NULL,
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    outputs TEXT NOT NULL CHECK (json_valid(outputs)),                          -- its reference outputs, a JSON array of texts
    PRIMARY KEY (evaluation_id, position)
) WITHOUT ROWID;
CREATE INDEX evaluation_items_task ON evaluation_items (task_id);

-- Who answers: a model, perhaps with an adapter, asked in one format.
CREATE TABLE contestants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    model_id INTEGER NOT NULL REFERENCES models (id),
    adapter TEXT NOT NULL DEFAULT '',
    adapter_sha256 TEXT NOT NULL DEFAULT '',
    format TEXT NOT NULL,
    template TEXT NOT NULL,             -- the text that makes a prompt of an item
    engine TEXT NOT NULL CHECK (json_valid(engine)),                            -- how the engine was set up when the contestant came
    created_at TEXT NOT NULL,
    UNIQUE (evaluation_id, model_id, adapter_sha256, format, template)
);

-- Exactly what a contestant was asked and wrote, stored before anything of it is scored.
CREATE TABLE answers (
    contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    evaluation_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    answered_at TEXT NOT NULL,
    detail TEXT NOT NULL,
    prompt TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (contestant_id, position),
    FOREIGN KEY (evaluation_id, position) REFERENCES evaluation_items (evaluation_id, position)
) WITHOUT ROWID;
CREATE INDEX answers_item ON answers (evaluation_id, position);

-- What an evaluation came to, whole, each time one ended: figures, intervals, tests, and what the items were compared with before.
CREATE TABLE evaluation_results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    evaluation_id INTEGER NOT NULL REFERENCES evaluations (id),
    created_at TEXT NOT NULL,
    result TEXT NOT NULL CHECK (json_valid(result))
);
CREATE INDEX evaluation_results_evaluation ON evaluation_results (evaluation_id, id);

-- Two contestants of one evaluation, graded blind.
CREATE TABLE comparisons (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    second_contestant_id INTEGER NOT NULL REFERENCES contestants (id),
    seed TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    created_at TEXT NOT NULL,
    UNIQUE (first_contestant_id, second_contestant_id, seed, size),
    CHECK (first_contestant_id <> second_contestant_id)
);
CREATE INDEX comparisons_second ON comparisons (second_contestant_id);

-- The texts as they were graded.
CREATE TABLE comparison_items (
    comparison_id INTEGER NOT NULL REFERENCES comparisons (id),
    position INTEGER NOT NULL,          -- from 0
    item INTEGER NOT NULL,              -- its position in the evaluation
    swapped INTEGER NOT NULL CHECK (swapped IN (0, 1)),                         -- the second contestant's answer stands on the left
    instruction TEXT NOT NULL,
    input TEXT NOT NULL,
    first_answer TEXT NOT NULL,
    second_answer TEXT NOT NULL,
    PRIMARY KEY (comparison_id, position),
    UNIQUE (comparison_id, item)
) WITHOUT ROWID;

-- The four grades of Wang et al. 2022, section 4.4. A grade is of a contestant, not of a side of the screen; null until it is given.
CREATE TABLE grades (
    comparison_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    rater_id INTEGER NOT NULL REFERENCES raters (id),
    first_grade TEXT CHECK (first_grade IN ('A', 'B', 'C', 'D')),
    second_grade TEXT CHECK (second_grade IN ('A', 'B', 'C', 'D')),
    skipped INTEGER NOT NULL DEFAULT 0 CHECK (skipped IN (0, 1)),
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (comparison_id, position, rater_id),
    FOREIGN KEY (comparison_id, position) REFERENCES comparison_items (comparison_id, position)
) WITHOUT ROWID;

-- Views: what one would ask --------------------------------------------------------------------------------------------------------------

-- The decisions that stand, one for each candidate that has a verdict: what every figure counts.
CREATE VIEW verdicts AS
    SELECT id, candidate_id, verdict, reason, score, nearest_task_id, seed_score, mean_score, decided_by, decided_at, edited, action_id
    FROM decisions WHERE standing;

-- How good a task is: the share of yes among all answers of all raters and reviews to it. An answer counts while the texts are what the rater
-- saw, and where he did not skip the item.
CREATE VIEW quality AS
    SELECT task_id, CAST(sum(yes) AS REAL) / sum(answers) AS quality
    FROM (
        SELECT review_items.task_id,
            coalesce(instruction_valid, 0) + coalesce(input_appropriate, 0) + coalesce(output_acceptable, 0) AS yes,
            (instruction_valid IS NOT NULL) + (input_appropriate IS NOT NULL) + (output_acceptable IS NOT NULL) AS answers
        FROM review_items JOIN ratings USING (review_id, position)
            JOIN tasks ON tasks.id = review_items.task_id AND tasks.instruction = review_items.instruction
            JOIN instances ON instances.id = review_items.instance_id AND instances.verdict = 'accepted'
                AND instances.input = review_items.input AND instances.output = review_items.output
        WHERE NOT skipped
    )
    WHERE answers > 0 GROUP BY task_id;

-- What an export with seeds holds: a row for each accepted instance of each active task that is not held out.
CREATE VIEW dataset AS
    SELECT tasks.id AS task_id, tasks.origin, number AS round, is_classification, instruction, input, output
    FROM tasks JOIN instances ON instances.task_id = tasks.id LEFT JOIN rounds ON rounds.id = round_id
    WHERE tasks.state = 'active' AND NOT held_out AND instances.verdict = 'accepted';

-- Why is this not in my data? Each candidate that is rejected now, with the task it is too like where that is the reason.
CREATE VIEW rejected AS
    SELECT verdicts.candidate_id, number AS round, reason, decided_by, score, nearest_task_id, coalesce(edited, text) AS text,
        instruction AS nearest
    FROM verdicts JOIN candidates ON candidates.id = verdicts.candidate_id JOIN requests ON requests.id = request_id
        JOIN rounds ON rounds.id = requests.round_id LEFT JOIN tasks ON tasks.id = nearest_task_id
    WHERE verdict = 'rejected';

-- Each request as the model got it, superseded attempts too, and what it wrote.
CREATE VIEW request_prompts AS
    SELECT requests.id AS request_id, number AS round, requests.stage, source, ordinal, task_id, requests.seed, params, chat,
        finish_reason, prompts.text || suffix AS prompt, completions.text AS completion
    FROM requests JOIN rounds ON rounds.id = round_id JOIN prompts ON prompts.id = prefix_id JOIN sampling ON sampling.id = sampling_id
        LEFT JOIN chats ON chats.id = chat_id LEFT JOIN completions ON completions.request_id = requests.id;

-- Full-text search: each index is kept by its table's triggers ---------------------------------------------------------------------------

CREATE VIRTUAL TABLE tasks_fts USING fts5 (instruction, content = 'tasks', content_rowid = 'id', tokenize = 'unicode61');
CREATE TRIGGER tasks_fts_insert AFTER INSERT ON tasks BEGIN
    INSERT INTO tasks_fts (rowid, instruction) VALUES (new.id, new.instruction);
END;
CREATE TRIGGER tasks_fts_delete AFTER DELETE ON tasks BEGIN
    INSERT INTO tasks_fts (tasks_fts, rowid, instruction) VALUES ('delete', old.id, old.instruction);
END;
CREATE TRIGGER tasks_fts_update AFTER UPDATE OF instruction ON tasks BEGIN
    INSERT INTO tasks_fts (tasks_fts, rowid, instruction) VALUES ('delete', old.id, old.instruction);
    INSERT INTO tasks_fts (rowid, instruction) VALUES (new.id, new.instruction);
END;

CREATE VIRTUAL TABLE candidates_fts USING fts5 (text, content = 'candidates', content_rowid = 'id', tokenize = 'unicode61');
CREATE TRIGGER candidates_fts_insert AFTER INSERT ON candidates BEGIN
    INSERT INTO candidates_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER candidates_fts_delete AFTER DELETE ON candidates BEGIN
    INSERT INTO candidates_fts (candidates_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER candidates_fts_update AFTER UPDATE OF text ON candidates BEGIN
    INSERT INTO candidates_fts (candidates_fts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO candidates_fts (rowid, text) VALUES (new.id, new.text);
END;
