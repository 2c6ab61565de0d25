// The line editor of line_reader.h, on libedit. Its header has a Tokenizer of its own, so that it is seen here only.
#include <fmt/format.h>
#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "cli/line_reader.h"
#include "text/unicode.h"

namespace megalith::cli {

namespace {

constexpr int kHistoryEntries = 2000;
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";

std::wstring widen(std::string_view text) {
  std::wstring wide;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    wide += static_cast<wchar_t>(step.code_point);
    at += step.length_bytes;
  }
  return wide;
}

std::string narrow(std::wstring_view wide) {
  std::string text;
  for (const wchar_t character : wide) append_utf8(text, static_cast<char32_t>(character));
  return text;
}

// Line ends as they are here, and nothing else that moves a cursor.
std::wstring without_controls(std::wstring_view pasted) {
  std::wstring text;
  for (size_t i = 0; i < pasted.size(); ++i) {
    const wchar_t character = pasted[i];
    if (character == L'\r') {
      if (i + 1 >= pasted.size() || pasted[i + 1] != L'\n') text += L'\n';
    } else if (character == L'\t') {
      text += L"    ";
    } else if (character == L'\n' || (character >= 0x20 && (character < 0x7F || character > 0x9F))) {
      text += character;
    }
  }
  return text;
}

class LineEditor final : public LineReader {
 public:
  LineEditor(ConversationSignals& signals, const LineEditorOptions& options);
  ~LineEditor() override;
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  Line read(const std::string& prompt) override;
  void remember(const std::string& text) override;

 private:
  static LineEditor& of(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return *static_cast<LineEditor*>(self);
  }
  static char* prompt(EditLine* edit) { return of(edit).prompt_.data(); }
  static int next_character(EditLine* edit, wchar_t* character) { return of(edit).next_character(*character); }
  static unsigned char on_paste(EditLine* edit, int /*key*/) { return of(edit).paste(); }
  static unsigned char on_line_end(EditLine* edit, int /*key*/) {
    return el_winsertstr(edit, L"\n") == 0 ? CC_REFRESH : CC_ERROR;
  }
  static unsigned char on_complete(EditLine* edit, int /*key*/) { return of(edit).complete(); }

  /// 1: there is one; 0: no more; -1: the line is interrupted.
  int next_character(wchar_t& character);
  int next_byte(char& byte);
  unsigned char paste();
  unsigned char complete();
  void redraw();
  bool is_empty() const {
    const LineInfoW* line = el_wline(edit_);
    return line->buffer == line->lastchar;
  }

  ConversationSignals& signals_;
  LineEditorOptions options_;
  std::FILE* out_;
  EditLine* edit_ = nullptr;
  HistoryW* history_ = nullptr;
  std::string prompt_;
  Status status_ = Status::kLine;
  bool was_empty_ = false;
};

LineEditor::LineEditor(ConversationSignals& signals, const LineEditorOptions& options)
    : signals_(signals), options_(options), out_(isatty(STDOUT_FILENO) == 1 ? stdout : stderr) {
  std::setlocale(LC_CTYPE, "");
  // Without a locale for it, libedit would refuse everything but ASCII.
  if (MB_CUR_MAX == 1 && std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr) std::setlocale(LC_CTYPE, "UTF-8");
  edit_ = el_init("megalith", stdin, out_, stderr);
  history_ = history_winit();
  if (edit_ == nullptr || history_ == nullptr) {
    if (edit_ != nullptr) el_end(edit_);
    throw Error(ErrorKind::kRuntime, "the terminal cannot be used for editing; pipe the messages in, one a line");
  }
  el_set(edit_, EL_CLIENTDATA, this);
  el_set(edit_, EL_EDITOR, "emacs");
  el_set(edit_, EL_SIGNAL, 0);
  el_set(edit_, EL_PROMPT_ESC, &LineEditor::prompt, '\1');
  el_set(edit_, EL_GETCFN, static_cast<el_rfunc_t>(&LineEditor::next_character));
  HistEventW event{};
  history_w(history_, &event, H_SETSIZE, kHistoryEntries);
  el_wset(edit_, EL_HIST, history_w, history_);
  el_source(edit_, nullptr);  // the user's own .editrc
  // The wide form keeps these texts where they are; el_set would copy and never free them.
  el_wset(edit_, EL_ADDFN, L"chat-paste", L"Take pasted text", &LineEditor::on_paste);
  el_wset(edit_, EL_ADDFN, L"chat-line-end", L"Begin a new line of the text", &LineEditor::on_line_end);
  el_wset(edit_, EL_ADDFN, L"chat-complete", L"Complete a command", &LineEditor::on_complete);
  const char* const end = nullptr;
  el_set(edit_, EL_BIND, "\\e[200~", "chat-paste", end);
  el_set(edit_, EL_BIND, "\\e^M", "chat-line-end", end);
  el_set(edit_, EL_BIND, "\\e^J", "chat-line-end", end);
  el_set(edit_, EL_BIND, "^I", "chat-complete", end);
  el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", end);
  for (const std::string& text : options.history) remember(text);
}

LineEditor::~LineEditor() {
  history_wend(history_);
  el_end(edit_);
}

LineReader::Line LineEditor::read(const std::string& prompt) {
  prompt_ = prompt;
  status_ = Status::kEnd;
  const bool bracketed = options_.paste == LineEditorOptions::Paste::kBracketed;
  if (bracketed) std::fputs("\x1b[?2004h", out_);
  std::fflush(out_);
  // Before the prompt is shown: what is typed from then on is the editor's.
  el_set(edit_, EL_PREP_TERM, 1);
  int length = 0;
  const wchar_t* const line = el_wgets(edit_, &length);
  if (bracketed) std::fputs("\x1b[?2004l", out_);
  if (line == nullptr || length <= 0) {
    std::fputs(status_ == Status::kInterrupted ? "^C\n" : "\n", out_);
    std::fflush(out_);
    return {status_, {}, was_empty_};
  }
  std::fflush(out_);
  std::wstring_view text(line, static_cast<size_t>(length));
  if (text.ends_with(L'\n')) text.remove_suffix(1);
  return {Status::kLine, narrow(text)};
}

void LineEditor::remember(const std::string& text) {
  HistEventW event{};
  history_w(history_, &event, H_ENTER, widen(text).c_str());
}

int LineEditor::next_byte(char& byte) {
  while (true) {
    if (signals_.must_end()) return -1;
    if (signals_.take_interrupt()) {
      status_ = Status::kInterrupted;
      was_empty_ = is_empty();
      return -1;
    }
    if (signals_.take_redraw()) redraw();
    if (!signals_.wait_for(STDIN_FILENO)) continue;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got >= 0) return static_cast<int>(got);
    if (errno != EINTR && errno != EAGAIN) return -1;
  }
}

int LineEditor::next_character(wchar_t& character) {
  std::string bytes;
  while (true) {
    char byte = 0;
    if (const int got = next_byte(byte); got != 1) return got;
    bytes += byte;
    const Utf8Step step = decode_utf8(bytes, 0);
    if (step.kind == Utf8Step::Kind::kUnfinished) continue;
    character = static_cast<wchar_t>(step.code_point);
    return 1;
  }
}

unsigned char LineEditor::paste() {
  std::wstring pasted;
  while (!pasted.ends_with(kPasteEnd)) {
    wchar_t character = 0;
    if (el_wgetc(edit_, &character) != 1) return CC_EOF;
    pasted += character;
  }
  pasted.resize(pasted.size() - kPasteEnd.size());
  return el_winsertstr(edit_, without_controls(pasted).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char LineEditor::complete() {
  const LineInfoW* line = el_wline(edit_);
  const std::string typed = narrow(std::wstring_view(line->buffer, static_cast<size_t>(line->cursor - line->buffer)));
  std::vector<std::string> fitting;
  for (const std::string& word : options_.completions) {
    if (!typed.empty() && word.starts_with(typed)) fitting.push_back(word);
  }
  if (fitting.empty()) return CC_ERROR;
  std::string common = fitting.front();
  for (const std::string& word : fitting) {
    while (!word.starts_with(common)) common.pop_back();
  }
  if (fitting.size() == 1) common += ' ';
  if (common.size() == typed.size()) return CC_ERROR;
  return el_winsertstr(edit_, widen(common.substr(typed.size())).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

void LineEditor::redraw() {
  // After a stop, the shell has set the terminal as it likes it, and libedit does not know.
  el_set(edit_, EL_PREP_TERM, 0);
  el_set(edit_, EL_PREP_TERM, 1);
  el_resize(edit_);
  el_set(edit_, EL_REFRESH);
}

}  // namespace

std::unique_ptr<LineReader> make_line_editor(ConversationSignals& signals, const LineEditorOptions& options) {
  return std::make_unique<LineEditor>(signals, options);
}

}  // namespace megalith::cli
