#include "text/pre_tokenizer.h"

#include <algorithm>

namespace megalith {
namespace {

using Normalisation = PreTokenizer::Normalisation;
using WholeWords = PreTokenizer::WholeWords;
using Bos = PreTokenizer::Bos;

/// A stage whose matches, and what lies between them, become words.
SplitStage isolate(std::string_view expression) { return {.expression = std::string(expression)}; }

// After tiktoken's cl100k_base; Llama 3 and Qwen 2 differ in how many numbers make a word.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|)"
    R"(\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|)"
    R"(\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kBailingMoe =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
// After tiktoken's o200k_base.
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutuScripts =
    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kKimi =
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kHanAndKana = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kDeepSeekV3 = R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)"
                                         "[^\r\n"
                                         R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
                                         "[\r\n]*"
                                         R"(|\s*)"
                                         "[\r\n]+"
                                         R"(|\s+(?!\S)|\s+)";
constexpr std::string_view kLineEnd = "[\r\n]";
constexpr std::string_view kDeepSeekCjk = "[一-龥ࠀ-一가-퟿]+";
constexpr std::string_view kDeepSeekLetters = R"(\s?[)"
                                              "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ"
                                              "Ⴀ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗ"
                                              "ὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇ"
                                              "ℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲ"
                                              "ⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓"
                                              "𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
                                              R"(]+)";
constexpr std::string_view kBloom = R"( ?[^(\s|[.,!?…。，、।۔،])]+)";

// One row a pre-tokenizer (docs/text.md says how to add one).
std::vector<PreTokenizer> make_rows() {
  constexpr Normalisation kAsIs = Normalisation::kNone;
  constexpr Normalisation kNfc = Normalisation::kNfc;
  constexpr WholeWords kMerge = WholeWords::kMerge;
  constexpr WholeWords kTake = WholeWords::kTakeIfKnown;
  constexpr Bos kNoBos = Bos::kOmitted;
  const SplitStage gpt2 = isolate(kGpt2Expression);
  const SplitStage digits = isolate(kDigitsExpression);
  return {
      {{"gpt-2", "default", "phi-2", "jais", "trillion", "exaone4", "mellum", "gigachat", "a.x-4.0", "granite-docling",
        "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"},
       kAsIs,
       {gpt2},
       kMerge,
       kNoBos},
      {{"gpt-neox", "mpt", "olmo", "modern-bert"}, kNfc, {gpt2}, kMerge, kNoBos},
      {{"smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"},
       kAsIs,
       {digits, gpt2},
       kMerge,
       kNoBos},
      {{"command-r"}, kNfc, {digits, gpt2}, kMerge, kNoBos},
      {{"qwen2", "deepseek-r1-qwen", "megrez", "kormo", "f2llmv2"}, kNfc, {isolate(kQwen2)}, kMerge, kNoBos},
      {{"qwen35", "qwen3.5"}, kNfc, {isolate(kQwen35)}, kMerge, kNoBos},
      {{"stablelm2", "hunyuan", "solar-open", "grok-2"}, kAsIs, {isolate(kQwen2)}, kMerge, kNoBos},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
       kAsIs,
       {isolate(kLlama3)},
       kTake,
       Bos::kAdded},
      {{"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"}, kAsIs, {isolate(kLlama3)}, kMerge, kNoBos},
      {{"gpt-4o", "o200k", "llama4", "kanana2", "talkie", "minimax-m2"}, kAsIs, {isolate(kGpt4o)}, kTake, kNoBos},
      {{"tekken"}, kAsIs, {isolate(kTekken)}, kTake, Bos::kAdded},
      {{"kimi-k2"}, kAsIs, {isolate(kKimi)}, kTake, kNoBos},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       kAsIs,
       {isolate(R"(\p{N}{1,3})"), isolate(kHanAndKana), isolate(kDeepSeekV3)},
       kMerge,
       kNoBos},
      {{"deepseek-llm"},
       kAsIs,
       {isolate(kLineEnd), isolate(kDeepSeekLetters), isolate(R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)"), isolate(R"(\s+$)"),
        isolate(kDeepSeekCjk), digits},
       kMerge,
       kNoBos},
      {{"deepseek-coder"},
       kAsIs,
       {isolate(kLineEnd), isolate(R"(\s?\p{L}+)"), isolate(R"(\s?\p{P}+)"), isolate(kDeepSeekCjk), digits},
       kMerge,
       kNoBos},
      // The steps after ByteLevel see the characters that stand for bytes, and some of those are numbers.
      {{"falcon"},
       kAsIs,
       {{.expression = std::string(kPunctuationExpression), .behavior = SplitStage::Behavior::kContiguous},
        gpt2,
        {.expression = std::string(kDigitsExpression),
         .behavior = SplitStage::Behavior::kContiguous,
         .text = SplitStage::Text::kInByteAlphabet},
        {.expression = "[0-9][0-9][0-9]", .text = SplitStage::Text::kInByteAlphabet}},
       kMerge,
       kNoBos},
      {{"superbpe"}, kAsIs, {isolate(R"(\p{N}+)"), isolate(R"((?=(\d{3})+(?!\d)))")}, kMerge, kNoBos},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, kAsIs, {isolate(kBailingMoe)}, kMerge, kNoBos},
      {{"seed-coder"}, kAsIs, {isolate(kSeedCoder)}, kMerge, kNoBos},
      {{"minicpm5"}, kAsIs, {isolate(R"(\p{N}{1,3})"), isolate(kMiniCpm5)}, kTake, kNoBos},
      {{"exaone-moe"}, kAsIs, {isolate(kExaoneMoe)}, kMerge, kNoBos},
      {{"tiny_aya", "cohere2moe"}, kAsIs, {isolate(R"(\d{1,3}(?=(?:\d{3})*\b))"), isolate(kGpt4o)}, kMerge, kNoBos},
      {{"jais-2"}, kAsIs, {isolate(kJais2)}, kMerge, kNoBos},
      {{"laguna"}, kAsIs, {isolate(R"([^\n]+|[\n]+)"), isolate(kQwen2)}, kMerge, kNoBos},
      {{"youtu"}, kAsIs, {isolate(kYoutuScripts), isolate(kYoutu)}, kTake, kNoBos},
      {{"bloom", "poro-chat", "gpt3-finnish"}, kAsIs, {isolate(kBloom)}, kMerge, kNoBos},
      {{"viking"}, kAsIs, {isolate(kBloom), isolate(R"(\p{N})")}, kMerge, kNoBos},
  };
}

const std::vector<PreTokenizer>& rows() {
  static const std::vector<PreTokenizer> kRows = make_rows();
  return kRows;
}

}  // namespace

std::span<const PreTokenizer> pre_tokenizers() { return rows(); }

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  for (const PreTokenizer& row : rows()) {
    if (std::find(row.names.begin(), row.names.end(), name) != row.names.end()) return &row;
  }
  return nullptr;
}

std::string known_pre_tokenizers() {
  std::string list;
  for (const PreTokenizer& row : rows()) {
    for (std::string_view name : row.names) {
      if (!list.empty()) list += ", ";
      list += name;
    }
  }
  return list;
}

}  // namespace megalith
