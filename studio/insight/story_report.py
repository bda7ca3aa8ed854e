"""A story in words, once for all that show it: sections of lines, their parts cleaned of what could act on a terminal, none of it markup.

Its skins only choose where the sections stand and what a role looks like: here for a terminal, on the pool screen, and on a report's page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from studio.insight.story import BEFORE_EDIT, EXPLAINED, Event, Measure, Story
from studio.loop.filters import REASONS
from studio.loop.parsing import told_apart
from studio.pool.candidates import DecisionRecord
from studio.pool.instances import InstanceRecord
from studio.pool.requests import RequestRecord
from studio.records import SOURCE_WORDS, TaskState, Verdict
from studio.text import display, display_line

Role = Literal["", "bold", "muted", "thought", "good", "bad", "warning"]
Line = tuple[tuple[str, Role], ...]

_KINDS = {None: "not yet classified", True: "classification", False: "not classification"}
_RICH: dict[Role, str] = {"": "", "bold": "bold", "muted": "", "thought": "dim", "good": "green", "bad": "red", "warning": "yellow"}


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a title; the first section, which says what is told of, has none. A text may be of several lines."""

    title: str
    lines: tuple[Line, ...]


def story_sections(story: Story, *, prompts: bool = False, most: int | None = None, bars: bool = False) -> Iterator[Section]:
    """Yield the story, most important first, and its answer apart from it: see `answer_line`.

    `prompts` adds the full prompts, `most` is how many characters of a text are told, `bars` draws figures against their limits.
    """
    told = _Teller(story, prompts, most, bars)
    yield Section("", tuple(told.head()))
    parts = (
        ("Instances", (line for each in story.instances for line in told.instance(each))),
        ("History", (line for each in story.events for line in told.event(each))),
        ("Most similar tasks then", (told.task(n.task_id, f"{n.score:.4f}  ") for n in story.neighbours)),
        ("Passage", told.passage()),
        ("In-context tasks", ((*told.task(each.id), (f"  ({each.origin})", "muted")) for each in story.parents)),
    )
    for title, lines in parts:
        if found := tuple(lines):
            yield Section(title, found)
    for request in (story.request, *story.task_requests):
        if request is not None:
            yield Section(f"Request {_name(request)}", tuple(told.exchange(request)))


def _name(request: RequestRecord) -> str:
    return f"{request.round}/{request.stage}/{request.ordinal}"


def _nats(nats: float, limit: float | None) -> str:
    return f"{nats:.4f} nats a token" + ("" if limit is None else f", at most {limit:.4f} in its round")


def answer_line(story: Story) -> Line:
    """Whether it is in the data, because of what, by whom, and when."""
    return ((display_line(story.answer.words), "good" if story.answer.in_data else "bad"),)


def story_report(story: Story, *, prompts: bool) -> Group:
    """The story for a terminal, its answer last: that is what one sees when all has been printed."""
    parts: list[Text | Padding] = []
    for section in story_sections(story, prompts=prompts):
        if section.title:
            parts += [Text(), Text(section.title, style="bold")]
        parts += [Padding(_text(line), (0, 0, 0, 2 if section.title else 0)) for line in section.lines]
    return Group(*parts, Text(), _text(answer_line(story)))


def _text(line: Line) -> Text:
    return Text.assemble(*((words, _RICH[role]) for words, role in line))


_BAR = 10


def _measure(measure: Measure) -> Line:
    """A figure as a bar, with its limit, and what that says."""
    role: Role = "" if measure.limit is None else "good" if measure.passes else "bad"
    return ((f"{measure.name:<10} ", "muted"), (measure.bar(_BAR), role), (f" {measure.words}", ""))


@dataclass(frozen=True, slots=True)
class _Teller:
    story: Story
    prompts: bool
    most: int | None
    bars: bool

    def head(self) -> Iterator[Line]:
        """What it is and what it says, and what people hung on it."""
        story, task = self.story, self.story.task
        if task is not None:
            joined = f", round {task.round}" if task.round is not None else ""
            state: Role = "muted" if task.state is TaskState.ACTIVE else "warning"
            yield (
                (f"task {task.id}", "bold"),
                (f": {task.origin}, ", "muted"),
                (task.state, state),
                (f", {_KINDS[task.is_classification]}{joined}", "muted"),
                (", held out for evaluation" if task.held_out else "", "bold"),
                (", * marked for review" if task.marked else "", "warning"),
            )
        elif story.candidate is not None:
            yield ((f"candidate c{story.candidate.id}", "bold"), (": not in the pool", "bad"))
        yield ((self._cut(story.text), ""),)
        if story.candidate is not None and story.candidate.text != story.text:
            yield (("edited by human; the model wrote: ", "muted"), (self._cut(story.candidate.text), ""))
        yield from self._source()
        if story.annotation.tags:
            yield (("tags: ", "muted"), (display_line(", ".join(story.annotation.tags)), ""))
        if story.annotation.note:
            yield (("note: ", "muted"), (self._cut(story.annotation.note), ""))
        if story.provenance:
            yield (("known from elsewhere: ", "muted"), (self._cut(story.provenance), ""))

    def passage(self) -> Iterator[Line]:
        """The passage that it was written for, where it stands, and how much likelier it made the instruction."""
        if (found := self.story.passage) is None:
            return
        yield ((display_line(found.place), "bold"), (f", licence: {display_line(found.document.licence) or 'not stated'}", "muted"))
        candidate = self.story.candidate
        if candidate is not None and candidate.gain is not None:
            yield ((f"it makes the instruction likelier by {candidate.gain:.2f} nats a token", "muted"),)
        yield ((self._cut(found.passage.text), ""),)

    def _source(self) -> Iterator[Line]:
        """Where the instruction comes from and how likely it is, where a model was asked in chat, for a passage, or measured it."""
        candidate, request = self.story.candidate, self.story.request
        plain = request is not None and request.chat is None and request.passage_id is None
        if candidate is None or request is None or (plain and candidate.nats is None):
            return
        if candidate.source is not None:
            yield (("source: ", "muted"), (f"{candidate.source}, {SOURCE_WORDS[candidate.source][0]}", ""))
        if self.bars:
            yield from map(_measure, self.story.measures)
            if self.story.measures:
                yield ((EXPLAINED, "muted"),)
        elif candidate.nats is not None:
            yield (("likelihood: ", "muted"), (_nats(candidate.nats, request.max_nats), ""))
        if candidate.nats is not None and self.story.text != candidate.text:
            yield ((BEFORE_EDIT, "muted"),)

    def _scores(self, found: InstanceRecord) -> Iterator[Line]:
        """Which requests wrote an instance, and what is known of its answer; nothing where one request wrote all of it."""
        if found.answer_id is None:
            return
        names = {each.id: each for each in self.story.task_requests}
        asked = [(what, names[at]) for what, at in (("input", found.request_id), ("output", found.answer_id)) if at in names]
        yield (("  " + ", ".join(f"{what} by request {_name(each)}" for what, each in asked), "muted"),)
        drawn = next((each.drawn for each in self.story.answers if each.instance_id == found.id), ())
        if len(drawn) > 1:
            agreement = "" if found.agreement is None or self.bars else f", agreement {found.agreement:.4f} (mean ROUGE-L with the others)"
            yield ((f"  chosen of {len(drawn)} answers{agreement}", "muted"),)
        if self.bars:
            yield from ((("  ", ""), *_measure(each)) for each in self.story.of_instances.get(found.id, ()))
        elif found.nats is not None:
            answer = names.get(found.answer_id)
            limit = None if answer is None else answer.max_answer_nats
            yield ((f"  likelihood of the answer: {_nats(found.nats, limit)}", "muted"),)

    def instance(self, found: InstanceRecord) -> Iterator[Line]:
        """An instance with its verdict and scores, and what it was before a person changed it."""
        yield from self._pair(found.verdict, f"{found.reason}, by {found.decided_by}", found.input, found.output)
        yield from self._scores(found)
        if found.thoughts:
            yield (("  thoughts: ", "muted"), (self._cut(found.thoughts), "thought"))
        yield from self._around(found)
        if (first := found.original) is not None and (first.input, first.output) != (found.input, found.output):
            yield from self._pair(
                None, f"before it was edited, {first.verdict}: {first.reason}, by {first.decided_by}", first.input, first.output
            )

    def _around(self, found: InstanceRecord) -> Iterator[Line]:
        """What was said before and after the exchange, where the instance was a conversation."""
        if found.system:
            yield (("  system turn: ", "muted"), (self._cut(found.system), ""))
        for turn in found.turns:
            if turn.thoughts:
                yield ((f"  then {display_line(turn.role, 40)} thought: ", "muted"), (self._cut(turn.thoughts), "thought"))
            yield ((f"  then {display_line(turn.role, 40)}: ", "muted"), (self._cut(turn.text), ""))

    def _pair(self, verdict: Verdict | None, words: str, given: str, output: str) -> Iterator[Line]:
        head: Line = ((words, "muted"),)
        if verdict is not None:
            head = ((verdict, "good" if verdict is Verdict.ACCEPTED else "bad"), (f": {words}", "muted"))
        yield head
        yield (("  input:  ", "muted"), (self._cut(given) or "(none)", ""))
        yield (("  output: ", "muted"), (self._cut(output), ""))

    def event(self, event: Event) -> Iterator[Line]:
        """What was done, by whom and when; of a decision why, by which scores, and with which text."""
        decision = event.decision
        role: Role = "" if decision is None else "good" if decision.verdict is Verdict.ACCEPTED else "bad"
        yield ((f"{event.at}  ", "muted"), (display_line(event.words), role))
        if decision is not None:
            yield from self._decision(decision)

    def _decision(self, decision: DecisionRecord) -> Iterator[Line]:
        if decision.reason in REASONS:
            yield ((f"  {REASONS[decision.reason]}", "muted"),)
        scores = f"highest ROUGE-L {decision.score:.4f}, to a seed {decision.seed_score:.4f}, mean over the pool {decision.mean_score:.4f}"
        yield ((f"  {scores}", ""),)
        if decision.nearest is not None:
            yield self.task(decision.nearest, "  nearest: ")
        if decision.edited is not None:
            yield (("  text, edited by human: ", "muted"), (self._cut(decision.edited), ""))

    def exchange(self, request: RequestRecord) -> Iterator[Line]:
        """What a model was asked and what came back."""
        params = request.params
        yield (
            (f"model {display_line(request.model.name)}, seed {request.seed}, temperature {params.temperature:g}, ", "muted"),
            (f"top_p {params.top_p:g}, at most {params.max_tokens} tokens", "muted"),
        )
        yield from self._chat(request)
        if self.prompts:
            yield (("prompt:", "muted"),)
            yield ((display(request.prefix + request.suffix), ""),)
        if request.completion is None:
            yield (("not answered yet", "warning"),)
            return
        done = request.completion
        detail = f" ({display_line(done.detail, 60)})" if done.detail.strip() else ""
        tokens = f"{done.prompt_tokens} prompt ({done.cached_tokens} cached), {done.completion_tokens} written"
        yield ((f"finished: {done.finish_reason}{detail}; tokens: {tokens}", "muted"),)
        if done.probability is not None and params.choices:
            choice = display_line(params.choices[0].strip(), 20)
            yield ((f"probability of {choice}: {done.probability:.4f}, read from the logits", "muted"),)
            yield (("the model chose:", "muted"),)
        else:
            yield (("the model wrote:", "muted"),)
        yield tuple(self._written(done.text))

    def _chat(self, request: RequestRecord) -> Iterator[Line]:
        """What stood around the prompt in the model's own chat template, and what its completion was for."""
        for each in self.story.answers:
            if request.id == each.chosen:
                yield ((f"chosen for instance {each.instance_id}, of {len(each.drawn)} drawn", "good"),)
            elif request.id in each.drawn:
                yield ((f"drawn for instance {each.instance_id}, not chosen", "muted"),)
        if (chat := request.chat) is None:
            return
        parts = ["the model writes the user's turn" if chat.writes_request else "the prompt is the user's turn"]
        if chat.begins and not self.prompts:
            parts.append(f"the model's turn begins with {display_line(chat.begins, 60)}")
        if not chat.thinking:
            parts.append("asked not to think")
        yield ((f"in the model's chat template: {', '.join(parts)}", "muted"),)
        if chat.system:
            yield (("system turn: ", "muted"), (display(chat.system) if self.prompts else display_line(chat.system, 300), ""))
        if chat.begins and self.prompts:
            yield (("the model's turn begins with:", "muted"),)
            yield ((display(chat.begins), ""),)

    def task(self, task_id: int, before: str = "") -> Line:
        """Another task in one line."""
        near = {each.id: each.instruction for each in self.story.parents} | self.story.near
        return ((f"{before}{task_id}  ", "muted"), (display_line(near.get(task_id, ""), 100), ""))

    def _written(self, text: str) -> Iterator[tuple[str, Role]]:
        """A completion, its thoughts apart."""
        room = len(text) if self.most is None else self.most
        for piece, thought in told_apart(text):
            yield display(piece[:room]), "thought" if thought else ""
            room = max(0, room - len(piece))
        if self.most is not None and len(text) > self.most:
            yield self._more(text), ""

    def _more(self, text: str) -> str:
        return f" … and {len(text) - (self.most or 0):,} characters more"

    def _cut(self, text: str) -> str:
        if self.most is None or len(text) <= self.most:
            return display(text)
        return display(text[: self.most]) + self._more(text)
