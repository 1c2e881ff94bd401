"""A model of this machine as a completer: checkpoint, tokenizer, engine, and how it reads prompts."""

from instructloop.config import Precision, Run, Text
from instructloop.loop.recorded import trained_text
from instructloop.model.policy import load_policy
from instructloop.model.pretrained import stop_ids
from instructloop.rollout.completer import EngineCompleter
from instructloop.steps.device import native_precision, place
from instructloop.steps.laws import probed_engine
from instructloop.text.tokenizer import Tokenizer, load_tokenizer


def load_completer(source: str, *, slots: int, waiting: int, precision: Precision = "bf16") -> EngineCompleter:
    """The language model of a folder or hub id, after law A2 was seen to hold on it.

    Our checkpoints read prompts as they were trained to. Of others, those with a chat template read a prompt as a user's
    message; the rest go on from it.
    """
    tokenizer, run = load_tokenizer(source), Run(precision=native_precision(precision))
    policy = place(load_policy(source, precision=run.precision, tokenizer=tokenizer, context=1))
    engine = probed_engine(policy, tokenizer, run, slots=slots)
    text = trained_text(source) or _text_of_another(tokenizer)
    return EngineCompleter(engine, tokenizer, text=text, stop_ids=stop_ids(policy, tokenizer), waiting=waiting)


def _text_of_another(tokenizer: Tokenizer) -> Text:
    return Text(template="chat") if tokenizer.hf.chat_template else Text(separator="")
