"""STUB by lead; helper overwrites"""

from dataclasses import dataclass


class PromptError(Exception):
    pass


@dataclass
class Prompt:
    index: int
    kind: str
    text: str
    input_ids: list
    digest: str


@dataclass
class PromptSet:
    prompts: list
    digest: str
    description: dict


def build_prompts(dataset, *, n, max_input_tokens, tokenizer, seed, fetch_dataset=None):
    out = []
    for i in range(n):
        t = "Tell me about the number %d and why it matters to people. " % i * (1 + i % 3)
        out.append(Prompt(i, "x", t, tokenizer(t)["input_ids"][:max_input_tokens], str(i)))
    return PromptSet(out, "d", {})
