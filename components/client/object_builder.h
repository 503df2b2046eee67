#pragma once
// Makes and changes objects: an arena, a root value of a kind, and its freezing into a Document.

#include "apimachinery/document.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"

namespace rusternetes::client {

class ObjectBuilder {
 public:
  // A new, empty object of the type.
  explicit ObjectBuilder(const apimachinery::Type& type)
      : type_(type), root_(apimachinery::Value::empty(apimachinery::ValueKind::structure)) {}
  // A copy to be changed.
  explicit ObjectBuilder(const apimachinery::Document& object)
      : type_(object.type()), root_(apimachinery::deep_copy(arena_, object.root())) {}
  // From JSON text written by a programmer: aborts on a mistake.
  static apimachinery::Document from_json(const apimachinery::Type& type, std::string_view json);

  apimachinery::Arena& arena() { return arena_; }
  apimachinery::Value& root() { return root_; }
  const apimachinery::Type& type() const { return type_; }
  apimachinery::Document freeze() const { return apimachinery::Document::freeze(root_, type_); }

 private:
  apimachinery::Arena arena_;
  const apimachinery::Type& type_;
  apimachinery::Value root_;
};

}  // namespace rusternetes::client
