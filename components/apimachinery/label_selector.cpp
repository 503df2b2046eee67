#include "apimachinery/label_selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apimachinery/names.h"
#include "apimachinery/quote.h"

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
  static constexpr std::pair<std::string_view, Token> words[] = {
      {")", Token::close},         {",", Token::comma},       {"!", Token::does_not_exist},
      {"==", Token::double_equals}, {"=", Token::equals},      {">", Token::greater_than},
      {"in", Token::in},           {"<", Token::less_than},   {"!=", Token::not_equals},
      {"notin", Token::not_in},    {"(", Token::open}};
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
    return {Token::error, fmt::format("error expected: keyword found '{}'", text_.substr(start, at_ - start))};
  }

  Item word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '\0' && !is_symbol(text_[at_]) && !is_space(text_[at_]))
      ++at_;
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

std::string joined(const std::vector<std::string>& messages, std::string_view separator) {
  return fmt::format("{}", fmt::join(messages, separator));
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
      if (!requirement)
        return bad_selector("unable to parse requirement: " + requirement.error().message);
      requirements.push_back(*std::move(requirement));
      const Item separator = take();
      if (separator.token == Token::end) return requirements;
      if (separator.token != Token::comma) return found(separator.literal, ", expected: ',' or 'end of string'");
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
      return bad_selector(field::invalid(path_, key.literal, joined(messages, "; ")).message());
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
      case Token::in: return Op::in;
      case Token::not_in: return Op::not_in;
      case Token::equals: return Op::equals;
      case Token::double_equals: return Op::double_equals;
      case Token::not_equals: return Op::not_equals;
      case Token::greater_than: return Op::greater_than;
      case Token::less_than: return Op::less_than;
      default: return found(item.literal, ", expected: in, notin, =, ==, !=, gt, lt");
    }
  }

  Result<std::vector<std::string>> parse_value() {
    if (as_value() == Token::end || as_value() == Token::comma) return std::vector<std::string>{""};
    Item item = take_value();
    if (item.token != Token::identifier) return found(item.literal, ", expected: identifier");
    return std::vector<std::string>{std::move(item.literal)};
  }

  Result<std::vector<std::string>> parse_values() {
    if (const Item item = take_value(); item.token != Token::open) return found(item.literal, " expected: '('");
    switch (as_value()) {
      case Token::identifier:
      case Token::comma: return parse_list();
      case Token::close: take(); return std::vector<std::string>{""};
      default: return found(item_.literal, ", expected: ',', ')' or identifier");
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

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view symbol(Op op) {
  switch (op) {
    case Op::in: return " in ";
    case Op::not_in: return " notin ";
    case Op::equals: return "=";
    case Op::double_equals: return "==";
    case Op::not_equals: return "!=";
    case Op::greater_than: return ">";
    case Op::less_than: return "<";
    default: return "";
  }
}

std::optional<Op> expression_operator(std::string_view text) {
  if (text == "In") return Op::in;
  if (text == "NotIn") return Op::not_in;
  if (text == "Exists") return Op::exists;
  if (text == "DoesNotExist") return Op::does_not_exist;
  return std::nullopt;
}

}  // namespace

bool LabelRequirement::matches(std::optional<std::string_view> value) const {
  switch (op) {
    case Op::exists: return value.has_value();
    case Op::does_not_exist: return !value;
    case Op::in:
    case Op::equals:
    case Op::double_equals: return value && std::ranges::find(values, *value) != values.end();
    case Op::not_in:
    case Op::not_equals: return !value || std::ranges::find(values, *value) == values.end();
    case Op::greater_than:
    case Op::less_than: {
      const auto own = value ? parse_integer(*value) : std::nullopt;
      const auto bound = values.size() == 1 ? parse_integer(values[0]) : std::nullopt;
      return own && bound && (op == Op::greater_than ? *own > *bound : *own < *bound);
    }
  }
  return false;
}

std::string LabelRequirement::to_string() const {
  if (op == Op::does_not_exist) return "!" + key;
  if (op == Op::exists) return key;
  const bool is_set = op == Op::in || op == Op::not_in;
  std::vector<std::string_view> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return fmt::format("{}{}{}{}{}", key, symbol(op), is_set ? "(" : "", fmt::join(sorted, ","), is_set ? ")" : "");
}

LabelSelector LabelSelector::nothing() {
  LabelSelector out;
  out.selects_nothing_ = true;
  return out;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text, const FieldPath& path) {
  LabelSelector out;
  RN_TRY(out.requirements_, Parser(text, path).parse());
  out.sort();
  return out;
}

Result<LabelSelector> LabelSelector::from_parts(const LabelSelectorParts* parts) {
  if (parts == nullptr) return nothing();
  LabelSelector out;
  const auto append = [&out](LabelRequirement requirement) -> Result<> {
    if (const auto errors = validate_requirement(requirement); !errors.empty())
      return bad_selector(errors.aggregate());
    out.requirements_.push_back(std::move(requirement));
    return {};
  };
  for (const auto& [key, value] : parts->match_labels) RN_CHECK(append({key, Op::equals, {value}}));
  for (const LabelExpression& expression : parts->match_expressions) {
    const auto op = expression_operator(expression.op);
    if (!op) return bad_selector(quote(expression.op) + " is not a valid label selector operator");
    RN_CHECK(append({expression.key, *op, expression.values}));
  }
  out.sort();
  return out;
}

LabelSelector LabelSelector::from_labels(std::span<const std::pair<std::string, std::string>> labels) {
  LabelSelector out;
  for (const auto& [key, value] : labels) out.requirements_.push_back({key, Op::equals, {value}});
  out.sort();
  return out;
}

std::optional<std::string_view> LabelSelector::required_value(std::string_view key) const {
  const auto it = std::ranges::find(requirements_, key, &LabelRequirement::key);
  if (it == requirements_.end() || it->values.size() != 1) return std::nullopt;
  if (it->op != Op::equals && it->op != Op::double_equals && it->op != Op::in) return std::nullopt;
  return it->values[0];
}

void LabelSelector::add(LabelRequirement requirement) {
  requirements_.push_back(std::move(requirement));
  sort();
}

void LabelSelector::sort() { std::ranges::stable_sort(requirements_, {}, &LabelRequirement::key); }

std::string LabelSelector::to_string() const {
  std::string out;
  for (const LabelRequirement& requirement : requirements_) {
    if (!out.empty()) out += ',';
    out += requirement.to_string();
  }
  return out;
}

FieldErrorList validate_requirement(const LabelRequirement& requirement, const FieldPath& path) {
  FieldErrorList errors;
  const auto& [key, op, values] = requirement;
  if (const auto messages = is_qualified_name(key); !messages.empty())
    errors.push_back(field::invalid(path.child("key"), key, joined(messages, "; ")));
  const FieldPath values_path = path.child("values");
  const auto bad_values = [&](std::string_view detail) {
    // An absent list is null in Kubernetes' messages.
    errors.push_back(
        field::invalid(values_path, values.empty() ? BadValue(nullptr) : BadValue::json(json_quote_list(values)), detail));
  };
  switch (op) {
    case Op::in:
    case Op::not_in:
      if (values.empty()) bad_values("for 'in', 'notin' operators, values set can't be empty");
      break;
    case Op::equals:
    case Op::double_equals:
    case Op::not_equals:
      if (values.size() != 1) bad_values("exact-match compatibility requires one single value");
      break;
    case Op::exists:
    case Op::does_not_exist:
      if (!values.empty()) bad_values("values set must be empty for exists and does not exist");
      break;
    case Op::greater_than:
    case Op::less_than:
      if (values.size() != 1) bad_values("for 'Gt', 'Lt' operators, exactly one value is required");
      for (std::size_t i = 0; i < values.size(); ++i)
        if (!parse_integer(values[i]))
          errors.push_back(field::invalid(values_path.index(static_cast<std::int64_t>(i)), values[i],
                                   "for 'Gt', 'Lt' operators, the value must be an integer"));
      break;
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    if (const auto messages = is_valid_label_value(values[i]); !messages.empty())
      errors.push_back(
          field::invalid(values_path.index(static_cast<std::int64_t>(i)).key(key), values[i], joined(messages, "; ")));
  return errors;
}

FieldErrorList validate_label_selector(const LabelSelectorParts& parts, const FieldPath& path,
                                       LabelSelectorValidation options) {
  FieldErrorList errors;
  const FieldPath labels_path = path.child("matchLabels");
  for (const auto& [key, value] : parts.match_labels) {
    errors.push_invalid(labels_path, key, is_qualified_name(key));
    errors.push_invalid(labels_path, value, is_valid_label_value(value));
  }
  const FieldPath expressions_path = path.child("matchExpressions");
  for (std::size_t i = 0; i < parts.match_expressions.size(); ++i) {
    const auto& [key, op_text, values] = parts.match_expressions[i];
    const FieldPath expression_path = expressions_path.index(static_cast<std::int64_t>(i));
    const FieldPath values_path = expression_path.child("values");
    const auto op = expression_operator(op_text);
    if (!op)
      errors.push_back(field::invalid(expression_path.child("operator"), BadValue::json(json_quote(op_text)),
                               "not a valid selector operator"));
    else if ((*op == Op::in || *op == Op::not_in) && values.empty())
      errors.push_back(field::required(values_path, "must be specified when `operator` is 'In' or 'NotIn'"));
    else if ((*op == Op::exists || *op == Op::does_not_exist) && !values.empty())
      errors.push_back(field::forbidden(values_path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    errors.push_invalid(expression_path.child("key"), key, is_qualified_name(key));
    if (options.allow_invalid_values) continue;
    for (std::size_t v = 0; v < values.size(); ++v)
      errors.push_invalid(values_path.index(static_cast<std::int64_t>(v)), values[v], is_valid_label_value(values[v]));
  }
  return errors;
}

}  // namespace rusternetes::apimachinery
