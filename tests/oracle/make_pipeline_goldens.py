#!/usr/bin/env python3
"""Writes tests/text/data/pipelines.json: small tokenizer.json files of every kind that is read, and the tokens of some
strings by the package `tokenizers`; and tiktoken_goldens.json by the package `tiktoken`.

    tests/oracle/make_pipeline_goldens.py [--folders FOLDER]

--folders writes each tokenizer.json into a folder of its own instead, for compare_tokenizers.py.
"""
import argparse
import io
import json
import pathlib
import tempfile

import sentencepiece
import tiktoken
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers)

import make_tokenizer_goldens as goldens

OUTPUT = goldens.DATA / "pipelines.json"
MARK = "▁"


def train(model, trainer, pre_tokenizer=None, normalizer=None):
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(goldens.CORPUS * 8, trainer)
    return tokenizer


def byte_level(size, **options):
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer = train(models.BPE(), trainer, pre_tokenizers.ByteLevel(**options))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def added_flags():
    """Every flag of an added token, on byte-level BPE whose normaliser composes."""
    tokenizer = byte_level(340, add_prefix_space=False)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([AddedToken("<|both|>", lstrip=True, rstrip=True, normalized=False),
                                  AddedToken("<|left|>", lstrip=True, normalized=False),
                                  AddedToken("<|right|>", rstrip=True, normalized=False),
                                  AddedToken("<|plain|>", normalized=False)])
    tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=False), AddedToken("e\u0301t", normalized=True),
                          AddedToken("plain", normalized=False), AddedToken("   ", normalized=False)])
    return tokenizer


def roberta():
    tokenizer = byte_level(340, add_prefix_space=True, trim_offsets=True)
    tokenizer.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=False),
                                  AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.token_to_id("</s>")), ("<s>", tokenizer.token_to_id("<s>")), add_prefix_space=True)
    return tokenizer


def two_leading():
    """Two tokens before a text, as GLM 4 has them; digits in threes, as Falcon."""
    tokenizer = byte_level(340, add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
    tokenizer.add_special_tokens(["[gMASK]", "<sop>"])
    ids = [(text, tokenizer.token_to_id(text)) for text in ("[gMASK]", "<sop>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[gMASK] <sop> $A", special_tokens=ids)
    return tokenizer


def piece_alphabet():
    return sorted({c for line in goldens.CORPUS for c in line if c not in " \n\t\r" and ord(c) < 0x2000} | {MARK})


def llama2(rstrip):
    """SentencePiece's BPE by merges, with a space before texts; Phi-3's special tokens swallow what follows."""
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, initial_alphabet=piece_alphabet(),
                                  special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    trained = train(models.BPE(unk_token="<unk>"), trainer, normalizer=normalizers.Replace(" ", MARK))
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.add_special_tokens([AddedToken("<|user|>", rstrip=rstrip, normalized=False)])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=True)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def unigram_pieces(normalizer, pre_tokenizer, size=420):
    trainer = trainers.UnigramTrainer(vocab_size=size, show_progress=False, unk_token="<unk>",
                                      special_tokens=["<unk>", "<s>", "</s>"])
    trained = train(models.Unigram(), trainer, pre_tokenizer, normalizer)
    return [tuple(pair) for pair in json.loads(trained.to_str())["model"]["vocab"]]


def unigram(byte_fallback):
    metaspace = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always", split=not byte_fallback)
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    pieces = unigram_pieces(normalizer, metaspace)
    if byte_fallback:
        pieces += [(f"<0x{b:02X}>", -30.0) for b in range(256)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=byte_fallback))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = metaspace
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(replacement=MARK, prepend_scheme="always")])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.add_special_tokens([AddedToken("<extra_0>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return tokenizer


def xlm_roberta():
    """White space split off, then Metaspace; a precompiled character map of a few rules that SentencePiece compiled."""
    rules = {"ﬁ": "fi", "①": "1", "²": "2", "\t": " ", "\u3000": " ", "ｱ": "ア", "ｶ": "カ", "ｶﾞ": "ガ", "\u200b": "", "½": "1/2"}
    path = pathlib.Path(tempfile.mkdtemp()) / "rules.tsv"
    path.write_text("".join("\t".join(" ".join(f"{ord(c):X}" for c in side) for side in pair) + "\n" for pair in rules.items()))
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(goldens.CORPUS), model_writer=model, vocab_size=300,
                                             normalization_rule_tsv=str(path), hard_vocab_limit=False, minloglevel=2)
    # ModelProto: normalizer_spec is field 3, its precompiled_charsmap field 2.
    charsmap = bytes_field(bytes_field(model.getvalue(), 3), 2)
    normalizer = normalizers.Precompiled(charsmap)
    pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                             pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always")])
    tokenizer = Tokenizer(models.Unigram(unigram_pieces(normalizer, pre_tokenizer), unk_id=0))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.Metaspace(replacement=MARK, prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=False),
                                  AddedToken("<mask>", lstrip=True, normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def bytes_field(message, wanted):
    """The first field of this number with a length in a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(message):
        key = varint()
        if key & 7 == 2:
            length = varint()
            if key >> 3 == wanted:
                return message[at:at + length]
            at += length
        elif key & 7 == 0:
            varint()
        else:
            at += 4 if key & 7 == 5 else 8
    raise SystemExit(f"no field {wanted}")


def bert(lowercase):
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    trainer = trainers.WordPieceTrainer(vocab_size=700, show_progress=False,
                                        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = train(models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.BertPreTokenizer(), normalizer)
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer


def words():
    """WordPiece over tokenizers' Whitespace, with accents stripped and lower case as single steps."""
    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip()])
    trainer = trainers.WordPieceTrainer(vocab_size=600, show_progress=False, special_tokens=["[UNK]"])
    tokenizer = train(models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.Whitespace(), normalizer)
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def make_all():
    return {
        "added-flags": added_flags(), "roberta": roberta(), "two-leading": two_leading(), "llama-2": llama2(False),
        "phi-3": llama2(True), "unigram": unigram(False), "unigram-bytes": unigram(True), "xlm-roberta": xlm_roberta(),
        "bert": bert(True), "bert-cased": bert(False), "words": words(),
    }


SPECIALS = ["<|both|>", "<|left|>", "<|right|>", "<|plain|>", "word", "e\u0301t", "ét", "plain", "   ", "<s>", "</s>", "<mask>",
            "[gMASK]", "<sop>", "<|user|>", "<tool>", "<extra_0>", "[CLS]", "[UNK]", "ﬁ", "ｶﾞ", "\u200b", "①", "A" * 101]


def strings():
    import compare_tokenizers
    import random
    return (goldens.CORPUS + goldens.sample_strings(120, 5) +
            compare_tokenizers.texts_with_specials(140, random.Random(6), SPECIALS))


def tiktoken_goldens(texts):
    """[text, ids] by tiktoken, of the vocabulary of the byte-level goldens under the expression of llama-bpe."""
    vocabulary = json.loads((goldens.DATA / "tokenizer_vocabulary.json").read_text())
    characters = {character: byte for byte, character in byte_alphabet().items()}
    ranks = {}
    for rank, (text, kind) in enumerate(zip(vocabulary["tokens"], vocabulary["types"])):
        if kind == 1:
            ranks[bytes(characters[character] for character in text)] = rank
    encoding = tiktoken.Encoding("goldens", pat_str=goldens.CL100K % "{1,3}", mergeable_ranks=ranks, special_tokens={})
    # A byte that the vocabulary lacks is an error there.
    known = [text for text in texts if all(bytes([byte]) in ranks for byte in text.encode())]
    return [[text, encoding.encode_ordinary(text)] for text in known]


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(rest)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders")
    arguments = parser.parse_args()
    tokenizers = make_all()
    if arguments.folders:
        for name, tokenizer in tokenizers.items():
            folder = pathlib.Path(arguments.folders) / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "tokenizer.json").write_text(tokenizer.to_str())
        return
    texts = strings()
    document = {"strings": texts, "tokenizers": {}}
    for name, tokenizer in tokenizers.items():
        # Two things that we do not follow: a unigram model finds its special tokens in texts where they are not to be
        # read, and the byte-level decoder takes added tokens apart.
        is_unigram = isinstance(tokenizer.model, models.Unigram)
        skipped = [is_unigram and any(special in text for special in ("<s>", "</s>", "<unk>")) for text in texts]
        mangled = tokenizer.token_to_id("e\u0301t") if name == "added-flags" else None
        plain = [goldens.encode(tokenizer, text, False) for text in texts]
        parsed = [goldens.encode(tokenizer, text, True) for text in texts]
        tokenizer.encode_special_tokens = False
        document["tokenizers"][name] = {
            "json": json.loads(tokenizer.to_str()),
            "tokens": [None if skip else ids for skip, ids in zip(skipped, plain)],
            "tokens_parsing_special": [[i, ids] for i, ids in enumerate(parsed) if ids != plain[i]],
            "around": tokenizer.encode("a").ids,
            "decoded": [None if skip or mangled in ids else tokenizer.decode(ids, skip_special_tokens=False)
                        for skip, ids in zip(skipped, plain)],
        }
    OUTPUT.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(OUTPUT, OUTPUT.stat().st_size)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in tiktoken_goldens(texts))
    (goldens.DATA / "tiktoken_goldens.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
