# Tests and assertions.
#
#   test "a sentence" { ... }             an error in the body fails the test; clients it opened are closed at its end
#   assert_equal expected actual          assert_match pattern text       assert condition
#   assert_error pattern { ... }          the body must raise an error that matches (glob)
#   wait_for condition ?ms?               waits until the expression holds; never a sleep of fixed length
#   info_field name                       a field of INFO everything
#   skip why                              leaves the test without counting it as passed or failed
#   need_preload                          skips the test if the server is sanitized, which LD_PRELOAD would break
#
# Random tests take their numbers from rand(), whose seed is --seed or the clock; the report of a failing test names it.

namespace eval check {
    variable passed 0
    variable failed 0
    variable filter .
    variable seed 0
}

proc test {name body} {
    if {![regexp -- $check::filter $name]} { return }
    set started [clock milliseconds]
    set others $server::opened
    set code [catch {uplevel 1 $body} result options]
    # The clients that a test opened end with it.
    foreach c $server::opened {
        if {$c ni $others} { $c -close }
    }
    set server::opened $others
    set ms [expr {[clock milliseconds] - $started}]
    if {$code == 0 || $code == 2} {
        incr check::passed
        puts [format "ok      %s (%d ms)" $name $ms]
    } elseif {[lindex [dict get $options -errorcode] 0] eq "SKIP"} {
        puts "skipped $name: $result"
    } else {
        test_failed $name "$result\n[where $options]"
        r_reset
    }
    flush stdout
}

proc test_failed {name why} {
    incr check::failed
    puts "FAILED  $name (seed $check::seed)\n        [string map {\n "\n        "} [string trimright $why]]"
    flush stdout
}

# A failed test may leave replies behind, which the next test would take for its own.
proc r_reset {} {
    if {[llength $server::stack]} { catch {r_close} }
}

proc where {options} {
    if {![dict exists $options -errorinfo]} { return "" }
    set info [dict get $options -errorinfo]
    set from [string first "\n    while executing" $info]
    return [join [lrange [split [string range $info [expr {$from + 1}] end] \n] 0 12] \n]
}

proc skip {why} {
    return -code error -errorcode SKIP $why
}

proc need_preload {} {
    if {[slowness] > 1} { skip "a sanitized server cannot be preloaded" }
}

proc shorten {text} {
    set text [string map [list \r \\r \n \\n \0 \\0] $text]
    return [expr {[string length $text] > 400 ? "[string range $text 0 399]... ([string length $text])" : $text}]
}

proc assert {condition} {
    if {![uplevel 1 [list expr $condition]]} {
        set values [uplevel 1 [list subst -nocommands $condition]]
        return -code error "does not hold: $condition, which is [shorten $values]"
    }
}

proc assert_equal {expected actual} {
    if {$expected ne $actual} {
        return -code error "expected <[shorten $expected]>\nbut got  <[shorten $actual]>"
    }
}

proc assert_match {pattern text} {
    if {![string match $pattern $text]} {
        return -code error "expected a match of <$pattern>\nbut got  <[shorten $text]>"
    }
}

proc assert_error {pattern body} {
    if {![catch {uplevel 1 $body} result]} {
        return -code error "expected the error <$pattern>\nbut got the result <[shorten $result]>"
    }
    if {![string match $pattern $result]} {
        return -code error "expected the error <$pattern>\nbut got <[shorten $result]>"
    }
}

proc wait_for {condition {ms 10000}} {
    set deadline [expr {[clock milliseconds] + $ms * [slowness]}]
    while {![uplevel 1 [list expr $condition]]} {
        if {[clock milliseconds] > $deadline} {
            return -code error "waited [expr {$ms * [slowness]}] ms in vain for: $condition"
        }
        after 10
    }
}

proc info_field {name {client r}} {
    foreach line [split [$client INFO everything] \n] {
        if {[regexp "^$name:(.*?)\r?$" $line -> value]} { return $value }
    }
    error "INFO has no field $name"
}

proc random_below {n} {
    return [expr {int(rand() * $n)}]
}

proc random_bytes {n} {
    set bytes ""
    for {set i 0} {$i < $n} {incr i} { append bytes [format %c [random_below 256]] }
    return $bytes
}
