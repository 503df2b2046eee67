#include "api-server/authz/forbidden.h"

#include "apimachinery/errors.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using apimachinery::quote;

namespace {

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string forbidden_message(const Attributes& attributes) {
  std::string text = "User " + quote(attributes.user.name) + " cannot " + attributes.verb;
  if (!attributes.is_resource) return escape_markup(text + " path " + quote(attributes.path));
  const std::string resource = attributes.subresource.empty()
                                   ? attributes.resource
                                   : attributes.resource + "/" + attributes.subresource;
  text += " resource " + quote(resource) + " in API group " + quote(attributes.api_group);
  if (attributes.name_space.empty())
    text += " at the cluster scope";
  else
    text += " in the namespace " + quote(attributes.name_space);
  return escape_markup(text);
}

Status forbidden_status(const Attributes& attributes, std::string_view reason) {
  std::string why = forbidden_message(attributes);
  if (!reason.empty()) why.append(": ").append(reason);
  return apimachinery::forbidden({attributes.api_group, attributes.resource}, attributes.name, why);
}

}  // namespace rusternetes::api_server
