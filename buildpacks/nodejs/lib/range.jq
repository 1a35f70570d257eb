# The newest stable version that a range accepts (https://semver.org, in npm's dialect): input is a list of versions, $range a string.
# null when none fits or when the range is none. There is no Node.js yet when this is asked, hence not npm's own code.

def version: [splits("[.]")] | if length == 3 and all(test("^\\d+$")) then map(tonumber) else empty end;

# Missing and wildcard parts are null.
def partial:
  if test("^v?(\\d+|[xX*])?([.](\\d+|[xX*])){0,2}([-+][0-9A-Za-z.+-]*)?$") | not then error("no version") else . end
  | sub("^v"; "") | sub("[-+].*$"; "") | [splits("[.]")]
  | map(if test("^\\d+$") then tonumber else null end)
  | . + [null, null, null] | .[:3]
  | if .[0] == null then [null, null, null] elif .[1] == null then [.[0], null, null] else . end;

def floor_of: map(. // 0);

# The first version after everything that a partial version covers.
def after: if .[0] == null then [infinite, 0, 0] elif .[1] == null then [.[0] + 1, 0, 0] elif .[2] == null then [.[0], .[1] + 1, 0] else [.[0], .[1], .[2] + 1] end;

def caret:
  if .[0] == null then after
  elif .[0] > 0 or .[1] == null then [.[0] + 1, 0, 0]
  elif .[1] > 0 or .[2] == null then [0, .[1] + 1, 0]
  else after end;

def tilde: if .[1] == null then after else [.[0], .[1] + 1, 0] end;

# One comparator as a half-open interval [from, before).
def interval:
  capture("^(?<op>[<>]=?|=|\\^|~>?|)(?<version>.*)$")
  | .op as $op | (.version | partial) as $v
  | if $op == "" or $op == "=" then [($v | floor_of), ($v | after)]
    elif $op == "^" then [($v | floor_of), ($v | caret)]
    elif $op == "~" or $op == "~>" then [($v | floor_of), ($v | tilde)]
    elif $op == ">=" then [($v | floor_of), [infinite, 0, 0]]
    elif $op == ">" then [($v | after), [infinite, 0, 0]]
    elif $op == "<" then [[0, 0, 0], ($v | floor_of)]
    else [[0, 0, 0], ($v | after)] end;

def comparators:
  gsub("^\\s+|\\s+$"; "")
  | gsub("(?<from>\\S+)\\s+-\\s+(?<to>\\S+)"; ">=\(.from) <=\(.to)")
  | gsub("(?<op>[<>=~^])\\s+"; .op)
  | [splits("\\s+") | interval];

def accepts($alternatives): . as $v | any($alternatives[]; all(.[]; .[0] <= $v and $v < .[1]));

(try ($range | if test("^\\s*$") then "*" else . end | [splits("\\s*\\|\\|\\s*") | comparators]) catch null) as $alternatives
| if $alternatives == null then null
  else [.[] | version | select(accepts($alternatives))] | max | if . then map(tostring) | join(".") else null end end
