// The text form of label selectors:
//   selector    = [ requirement { "," requirement } ]
//   requirement = [ "!" ] KEY | KEY ( "in" | "notin" ) "(" [ VALUE ] { "," [ VALUE ] } ")"
//               | KEY ( "=" | "==" | "!=" | ">" | "<" ) [ VALUE ]

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/label_selector.h"
#include "apimachinery/names.h"

namespace rusternetes::apimachinery {
namespace {

using Op = SelectorOperator;

enum class Token {
  error,
  end,
  close,
  comma,
  does_not_exist,
  double_equals,
  equals,
  greater_than,
  identifier,
  in,
  less_than,
  not_equals,
  not_in,
  open
};

struct Item {
  Token token;
  std::string literal;
};

std::optional<Token> keyword(std::string_view text) {
  static constexpr std::pair<std::string_view, Token> words[] = {{")", Token::close},
                                                                 {",", Token::comma},
                                                                 {"!", Token::does_not_exist},
                                                                 {"==", Token::double_equals},
                                                                 {"=", Token::equals},
                                                                 {">", Token::greater_than},
                                                                 {"in", Token::in},
                                                                 {"<", Token::less_than},
                                                                 {"!=", Token::not_equals},
                                                                 {"notin", Token::not_in},
                                                                 {"(", Token::open}};
  for (const auto& [word, token] : words)
    if (word == text) return token;
  return std::nullopt;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_symbol(char c) { return std::string_view("=!(),><").find(c) != std::string_view::npos; }

// As in Kubernetes, a NUL byte ends the text where a token could start and is ignored after one.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Item next() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    if (at_ == text_.size() || text_[at_] == '\0') return {Token::end, ""};
    Item item = is_symbol(text_[at_]) ? symbol() : word();
    if (at_ < text_.size() && text_[at_] == '\0') ++at_;
    return item;
  }

 private:
  // The longest keyword that the run of symbols starts with; what cannot start one is an error.
  Item symbol() {
    const std::size_t start = at_;
    std::optional<Item> found;
    for (; at_ < text_.size() && is_symbol(text_[at_]); ++at_) {
      const std::string_view run = text_.substr(start, at_ - start + 1);
      if (const auto token = keyword(run))
        found = Item{*token, std::string(run)};
      else if (found)
        break;
    }
    if (found) return *std::move(found);
    return {Token::error,
            fmt::format("error expected: keyword found '{}'", text_.substr(start, at_ - start))};
  }

  Item word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '\0' && !is_symbol(text_[at_]) && !is_space(text_[at_])) ++at_;
    const std::string_view text = text_.substr(start, at_ - start);
    return {keyword(text).value_or(Token::identifier), std::string(text)};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Status bad_selector(std::string message) { return Status(400, "BadRequest", std::move(message)); }

Status found(std::string_view literal, std::string_view rest) {
  return bad_selector(fmt::format("found '{}'{}", literal, rest));
}

class Parser {
 public:
  Parser(std::string_view text, const FieldPath& path) : lexer_(text), path_(path), item_(lexer_.next()) {}

  Result<std::vector<LabelRequirement>> parse() {
    std::vector<LabelRequirement> requirements;
    for (;;) {
      const Token token = as_value();
      if (token == Token::end) return requirements;
      if (token != Token::identifier && token != Token::does_not_exist)
        return found(item_.literal, ", expected: !, identifier, or 'end of string'");
      auto requirement = parse_requirement();
      if (!requirement) return bad_selector("unable to parse requirement: " + requirement.error().message);
      requirements.push_back(*std::move(requirement));
      const Item separator = take();
      if (separator.token == Token::end) return requirements;
      if (separator.token != Token::comma)
        return found(separator.literal, ", expected: ',' or 'end of string'");
      const Token next = as_value();
      if (next != Token::identifier && next != Token::does_not_exist)
        return found(item_.literal, ", expected: identifier after ','");
    }
  }

 private:
  // "in" and "notin" are ordinary words where an operator cannot stand.
  Token as_value() const {
    return item_.token == Token::in || item_.token == Token::not_in ? Token::identifier : item_.token;
  }
  Item take_value() {
    Item item = take();
    if (item.token == Token::in || item.token == Token::not_in) item.token = Token::identifier;
    return item;
  }
  Item take() { return item_.token == Token::end ? item_ : std::exchange(item_, lexer_.next()); }

  Result<LabelRequirement> parse_requirement() {
    LabelRequirement requirement;
    Item key = take_value();
    const bool is_negated = key.token == Token::does_not_exist;
    if (is_negated) key = take_value();
    if (key.token != Token::identifier) return found(key.literal, ", expected: identifier");
    if (const auto messages = is_qualified_name(key.literal); !messages.empty())
      return bad_selector(
          field::invalid(path_, key.literal, fmt::format("{}", fmt::join(messages, "; "))).message());
    requirement.key = std::move(key.literal);
    if (is_negated) {
      requirement.op = Op::does_not_exist;
    } else if (as_value() == Token::end || as_value() == Token::comma) {
      requirement.op = Op::exists;
    } else {
      RN_TRY(requirement.op, parse_operator());
      const bool is_set = requirement.op == Op::in || requirement.op == Op::not_in;
      RN_TRY(requirement.values, is_set ? parse_values() : parse_value());
      std::ranges::sort(requirement.values);
      const auto repeated = std::ranges::unique(requirement.values);
      requirement.values.erase(repeated.begin(), repeated.end());
    }
    if (const auto errors = validate_requirement(requirement, path_); !errors.empty())
      return bad_selector(errors.aggregate());
    return requirement;
  }

  Result<Op> parse_operator() {
    const Item item = take();
    switch (item.token) {
      case Token::in:
        return Op::in;
      case Token::not_in:
        return Op::not_in;
      case Token::equals:
        return Op::equals;
      case Token::double_equals:
        return Op::double_equals;
      case Token::not_equals:
        return Op::not_equals;
      case Token::greater_than:
        return Op::greater_than;
      case Token::less_than:
        return Op::less_than;
      default:
        return found(item.literal, ", expected: in, notin, =, ==, !=, gt, lt");
    }
  }

  Result<std::vector<std::string>> parse_value() {
    if (as_value() == Token::end || as_value() == Token::comma) return std::vector<std::string>{""};
    Item item = take_value();
    if (item.token != Token::identifier) return found(item.literal, ", expected: identifier");
    return std::vector<std::string>{std::move(item.literal)};
  }

  Result<std::vector<std::string>> parse_values() {
    if (const Item item = take_value(); item.token != Token::open)
      return found(item.literal, " expected: '('");
    switch (as_value()) {
      case Token::identifier:
      case Token::comma:
        return parse_list();
      case Token::close:
        take();
        return std::vector<std::string>{""};
      default:
        return found(item_.literal, ", expected: ',', ')' or identifier");
    }
  }

  // Up to and with the ")". An empty place between commas is the empty value.
  Result<std::vector<std::string>> parse_list() {
    std::vector<std::string> values;
    for (;;) {
      Item item = take_value();
      if (item.token == Token::identifier) {
        values.push_back(std::move(item.literal));
        if (as_value() == Token::close) break;
        if (as_value() != Token::comma) return found(item_.literal, ", expected: ',' or ')'");
      } else if (item.token == Token::comma) {
        if (values.empty() || as_value() == Token::comma || as_value() == Token::close) values.emplace_back();
        if (as_value() == Token::close) break;
      } else {
        return found(item.literal, ", expected: ',', or identifier");
      }
    }
    take();
    return values;
  }

  Lexer lexer_;
  const FieldPath& path_;
  Item item_;
};

}  // namespace

Result<LabelSelector> LabelSelector::parse(std::string_view text, const FieldPath& path) {
  LabelSelector out;
  RN_TRY(out.requirements_, Parser(text, path).parse());
  out.sort();
  return out;
}

}  // namespace rusternetes::apimachinery
