#include "dns/message.h"

#include <fmt/format.h>

#include <algorithm>

namespace rusternetes::dns {

std::string_view name_of(Rcode rcode) {
  switch (rcode) {
    case Rcode::no_error:
      return "NOERROR";
    case Rcode::format_error:
      return "FORMERR";
    case Rcode::server_failure:
      return "SERVFAIL";
    case Rcode::name_error:
      return "NXDOMAIN";
    case Rcode::not_implemented:
      return "NOTIMP";
    case Rcode::refused:
      return "REFUSED";
    case Rcode::bad_version:
      return "BADVERS";
  }
  return "OTHER";
}

Result<std::string> name_from_text(std::string_view text) {
  const std::string_view whole = text;
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string wire;
  while (!text.empty()) {
    const auto dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || dot == text.size() - 1)
      return Status{400, "BadRequest", fmt::format("\"{}\" is not a domain name", whole)};
    wire += static_cast<char>(label.size());
    for (const char c : label) wire += lower(c);
    text.remove_prefix(dot == text.npos ? text.size() : dot + 1);
  }
  wire += '\0';
  if (wire.size() > most_name)
    return Status{400, "BadRequest", fmt::format("\"{}\" is longer than a domain name can be", whole)};
  return wire;
}

std::string name_to_text(std::string_view wire) {
  std::string text;
  for (std::size_t at = 0; at < wire.size() && wire[at] != 0;) {
    const std::size_t size = static_cast<unsigned char>(wire[at]);
    text += wire.substr(at + 1, size);
    text += '.';
    at += size + 1;
  }
  return text.empty() ? "." : text;
}

void lower_name(std::string& wire) {
  for (char& c : wire) c = lower(c);  // lengths are below 64, thus no letters
}

bool is_within(std::string_view name, std::string_view zone, std::size_t* found_at) {
  if (name.size() < zone.size() || !name.ends_with(zone)) return false;
  const std::size_t wanted = name.size() - zone.size();
  for (std::size_t at = 0; at <= wanted; at += static_cast<unsigned char>(name[at]) + 1u) {
    if (at != wanted) continue;  // the bytes before are whole labels only if a label begins here
    if (found_at) *found_at = at;
    return true;
  }
  return false;
}

bool read_name(std::string_view message, std::size_t& position, std::string* lower_case,
               const std::vector<bool>* forbidden) {
  std::size_t at = position, length = 0;
  bool has_jumped = false;
  if (lower_case) lower_case->clear();
  for (;;) {
    if (at >= message.size()) return false;
    const auto size = static_cast<unsigned char>(message[at]);
    if ((size & 0xc0) == 0xc0) {
      if (at + 2 > message.size() || (forbidden && ((*forbidden)[at] || (*forbidden)[at + 1]))) return false;
      const std::size_t target = read16(&message[at]) & 0x3fffu;
      if (!has_jumped) position = at + 2;
      has_jumped = true;
      if (target >= at || target < header_size) return false;  // only backwards, so it comes to an end
      at = target;
      continue;
    }
    if (size > 63) return false;
    length += size + 1u;
    if (length > most_name || at + 1 + size > message.size()) return false;
    if (forbidden)
      for (std::size_t i = at; i <= at + size; ++i)
        if ((*forbidden)[i]) return false;
    if (lower_case)
      for (std::size_t i = at; i <= at + size; ++i) *lower_case += lower(message[i]);
    at += size + 1u;
    if (size == 0) break;
  }
  if (!has_jumped) position = at;
  return true;
}

namespace {

bool read_record(std::string_view message, std::size_t& at, RecordAt& out) {
  out.name = at;
  if (!read_name(message, at, nullptr) || at + 10 > message.size()) return false;
  out.type = read16(&message[at]);
  out.klass = read16(&message[at + 2]);
  out.ttl_at = at + 4;
  out.ttl = read32(&message[at + 4]);
  if (out.ttl & 0x80000000u) out.ttl = 0;
  out.data_size = read16(&message[at + 8]);
  out.data = at + 10;
  out.end = out.data + out.data_size;
  at = out.end;
  return out.end <= message.size();
}

// Whether the data is of the form that those who age and shuffle records rely on.
bool has_good_data(std::string_view message, const RecordAt& record,
                   const std::vector<bool>* forbidden = nullptr) {
  if (record.klass != class_in) return true;
  std::size_t at = record.data;
  switch (record.type) {
    case type_a:
      return record.data_size == 4;
    case type_aaaa:
      return record.data_size == 16;
    case type_cname:
    case type_ns:
    case type_ptr:
      return read_name(message, at, nullptr, forbidden) && at == record.end;
    case type_soa:
      return read_name(message, at, nullptr, forbidden) && read_name(message, at, nullptr, forbidden) &&
             at + 20 == record.end;
    default:
      return true;
  }
}

bool read_section(std::string_view message, std::size_t count, std::size_t& at, std::vector<RecordAt>& out) {
  for (; count > 0; --count) {
    RecordAt record;
    if (!read_record(message, at, record) || !has_good_data(message, record)) return false;
    out.push_back(record);
  }
  return true;
}

// Whether no name of the records reads bytes that are rewritten on the way to a client.
bool has_firm_names(std::string_view message, const Walk& walk) {
  std::vector<bool> forbidden(message.size());
  const auto sections = {&walk.answer, &walk.authority, &walk.additional};
  for (const auto* section : sections)
    for (const auto& record : *section) {
      const bool is_address = record.type == type_a || record.type == type_aaaa;
      std::fill_n(forbidden.begin() + record.ttl_at, 4, true);
      if (is_address) std::fill_n(forbidden.begin() + record.data, record.data_size, true);
    }
  for (const auto* section : sections)
    for (const auto& record : *section) {
      std::size_t at = record.name;
      if (!read_name(message, at, nullptr, &forbidden) || !has_good_data(message, record, &forbidden))
        return false;
    }
  return true;
}

// The OPT record of a query, if it has one. False: malformed, or two of them.
bool read_edns(std::string_view message, std::size_t at, std::size_t others, std::size_t additional,
               Query& out) {
  for (std::size_t i = 0; i < others + additional; ++i) {
    RecordAt record;
    if (!read_record(message, at, record)) return false;
    if (record.type != type_opt) continue;
    if (out.has_edns || i < others || message[record.name] != 0) return false;
    out.has_edns = true;
    out.udp_size = std::max<std::uint16_t>(record.klass, most_udp_plain);
    out.edns_version = static_cast<std::uint8_t>(message[record.ttl_at + 1]);
    out.wants_dnssec = message[record.ttl_at + 2] & 0x80;
  }
  return true;
}

}  // namespace

QueryError parse_query(std::string_view message, Query& out) {
  std::string kept = std::move(out.lower_name);  // its memory serves the next question, too
  out = Query{};
  out.lower_name = std::move(kept);
  if (message.size() < header_size) return QueryError::ignore;
  out.id = read16(&message[0]);
  out.flags = read16(&message[2]);
  if (out.flags & flag_response) return QueryError::ignore;
  if (out.flags & mask_opcode) return QueryError::not_implemented;
  const std::size_t questions = read16(&message[4]), answers = read16(&message[6]),
                    authorities = read16(&message[8]), additional = read16(&message[10]);
  // More than a query can sensibly carry (a SOA for IXFR; OPT and a signature).
  if (questions != 1 || answers > 1 || authorities > 1 || additional > 2) return QueryError::format_error;
  std::size_t at = header_size;
  // A question has nothing before it to point at.
  for (;;) {
    if (at >= message.size()) return QueryError::format_error;
    const auto size = static_cast<unsigned char>(message[at]);
    if (size > 63) return QueryError::format_error;
    at += size + 1u;
    if (at - header_size > most_name) return QueryError::format_error;
    if (size == 0) break;
  }
  if (at + 4 > message.size()) return QueryError::format_error;
  out.name = message.substr(header_size, at - header_size);
  out.lower_name.resize(out.name.size());
  std::ranges::transform(out.name, out.lower_name.begin(), lower);
  out.type = read16(&message[at]);
  out.klass = read16(&message[at + 2]);
  out.question = message.substr(header_size, at + 4 - header_size);
  if (!read_edns(message, at + 4, answers + authorities, additional, out)) return QueryError::format_error;
  return QueryError::none;
}

Result<Walk> walk_message(std::string_view message) {
  const auto malformed = [](std::string_view what) {
    return Status{400, "BadRequest", fmt::format("malformed DNS message: {}", what)};
  };
  if (message.size() < header_size) return malformed("shorter than its header");
  Walk out;
  out.id = read16(&message[0]);
  out.flags = read16(&message[2]);
  if (read16(&message[4]) != 1) return malformed("not exactly one question");
  std::size_t at = header_size;
  if (!read_name(message, at, &out.name) || at + 4 > message.size()) return malformed("question");
  // Those who put a client's question in its place rely on its size.
  if (at - header_size != out.name.size()) return malformed("a compressed question");
  out.type = read16(&message[at]);
  out.klass = read16(&message[at + 2]);
  out.question_end = at += 4;
  if (!read_section(message, read16(&message[6]), at, out.answer)) return malformed("answer");
  if (!read_section(message, read16(&message[8]), at, out.authority)) return malformed("authority");
  if (!read_section(message, read16(&message[10]), at, out.additional)) return malformed("additional");
  if (at != message.size()) return malformed("bytes after its end");
  if (!has_firm_names(message, out)) return malformed("names out of what are none");
  return out;
}

}  // namespace rusternetes::dns
