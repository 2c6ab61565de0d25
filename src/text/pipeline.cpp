#include "text/pipeline.h"

#include "text/space_mark.h"

namespace megalith {

using Kind = NormalizerStep::Kind;

Pipeline pipeline_of(const PreTokenizer& row) {
  Pipeline pipeline;
  if (row.normalisation == PreTokenizer::Normalisation::kNfc) pipeline.normalizer.push_back({Kind::kNfc});
  pipeline.stages = row.stages;
  if (row.whole_words == PreTokenizer::WholeWords::kTakeIfKnown) {
    pipeline.whole_words = Pipeline::WholeWords::kTakeIfKnown;
  }
  return pipeline;
}

std::string name_of_pipeline(const Pipeline& pipeline) {
  const auto without_empty = [](std::vector<SplitStage> stages) {
    std::erase(stages, SplitStage{});  // ByteLevel without its expression
    return stages;
  };
  for (const PreTokenizer& row : pre_tokenizers()) {
    const Pipeline known = pipeline_of(row);
    const bool same = known.normalizer == pipeline.normalizer && known.whole_words == pipeline.whole_words &&
                      !pipeline.space_marks && without_empty(known.stages) == without_empty(pipeline.stages);
    if (same) return std::string(row.names.front());
  }
  return "";
}

Pipeline sentence_piece_pipeline(SpacePrefix prefix) {
  Pipeline pipeline;
  if (prefix == SpacePrefix::kAdded) {
    pipeline.normalizer.push_back({Kind::kPrepend, "", std::string(kSpaceMark)});
    pipeline.leading_space = Pipeline::LeadingSpace::kDrop;
  }
  pipeline.normalizer.push_back({Kind::kReplace, " ", std::string(kSpaceMark)});
  return pipeline;
}

Pipeline bert_pipeline() {
  Pipeline pipeline;
  for (const Kind kind :
       {Kind::kCleanText, Kind::kSpacesAroundHan, Kind::kNfd, Kind::kStripMarksOfBert, Kind::kLowercase}) {
    pipeline.normalizer.push_back({kind});
  }
  pipeline.stages = {
      {.expression = std::string(kWhitespaceSplitExpression), .behavior = SplitStage::Behavior::kRemoved},
      {.expression = std::string(kPunctuationExpression)}};
  pipeline.leading_space = Pipeline::LeadingSpace::kDrop;
  return pipeline;
}

}  // namespace megalith
