# tests/run.tcl: runs the tests, three at a time, and counts. The Makefile calls it; by hand:
#
#   tclsh tests/run.tcl ?--variant release? ?--only REGEX? ?--test REGEX? ?--seed N? ?--random N? ?--jobs N?
#
# --only matches the names of the tests, which are
#   unit/<layer>/<test>     a cmocka program in build/<variant>/unit
#   <family>                tests/<family>.tcl, in a process of its own with the servers it starts
#   <family>/<file>         the same for tests/<family>/<file>.tcl, where a family has several files
#   compat/<file>           tests/compat/<file>.cmds, sent to kura and to redis-server
#   compat/<file>-clients   tests/compat/<file>.clients: several connections to each of the two
#   compat/random-resp<n>   random commands for the same two
#   compat/events           random commands again: the keyspace events that follow them
#   fuzz/protocol           five seconds of tests/tools/fuzz.c
# The output of a failing test is shown whole. The last line is "N passed, N failed"; the status is 0 if none failed.

set root [file dirname [file dirname [file normalize [info script]]]]
array set option {--variant release --only . --test . --seed 0 --random 300000 --jobs 3}
foreach {name value} $argv {
    if {![info exists option($name)]} {
        puts stderr "unknown option: $name"
        exit 1
    }
    set option($name) $value
}
set sanitized [string match san-* $option(--variant)]
set build [file join $root build $option(--variant)]
if {[info exists env(KURA_SERVER)]} {
    set server $env(KURA_SERVER)
} else {
    # A link of its own: a build during the run does not replace the program under the tests.
    set own [file join $build under-test-[pid]]
    set server [file join $own kura-server]
    file mkdir $own
    file link -hard $server [file join $build kura-server]
}
set env(KURA_SERVER) $server
if {![info exists env(KURA_SLOW)]} { set env(KURA_SLOW) [expr {$sanitized ? 5 : 1}] }
# An error that a sanitizer finds ends the server; an allocation that is too large returns NULL, as without sanitizers.
if {$sanitized} {
    set env(ASAN_OPTIONS) allocator_may_return_null=1:abort_on_error=0:exitcode=99
    set env(UBSAN_OPTIONS) print_stacktrace=1:halt_on_error=1
}
if {$option(--seed)} { set env(SEED) $option(--seed) } ;# for unit tests (tests/unit/seed.h)
set limit_s [expr {$sanitized ? 900 : 450}]

# All tests as {name command}.
proc list_tests {} {
    global root build option
    set seed $option(--seed)
    set grammars [lsort [glob $root/tests/compat/*.grammar]]
    set all {}
    # The long ones come first, so that no single one runs alone at the end.
    set compat [list [file join $root build tools compat] $::server [file join $root build oracle redis-server]]
    foreach protocol {2 3} {
        set count [expr {$option(--random) / 2}]
        lappend all [list compat/random-resp$protocol \
            [concat $compat random $protocol $count $seed $grammars]]
    }
    lappend all [list compat/events [concat [list [file join $root build tools events]] [lrange $compat 1 2] \
        [expr {$option(--random) / 15}] $seed $grammars]]
    lappend all [list fuzz/protocol [list [file join $root build tools fuzz] $::server 5 $seed {*}$grammars]]
    foreach file [lsort [glob -nocomplain $root/tests/compat/*.cmds]] {
        lappend all [list compat/[file rootname [file tail $file]] [concat $compat script $file $grammars]]
    }
    foreach file [lsort [glob -nocomplain $root/tests/compat/*.clients]] {
        lappend all [list compat/[file rootname [file tail $file]]-clients [concat $compat clients $file $grammars]]
    }
    foreach file [lsort [glob -nocomplain $root/tests/*.tcl $root/tests/*/*.tcl]] {
        set name [string range [file rootname $file] [string length $root/tests/] end]
        if {$name eq "run" || [string match harness/* $name]} { continue }
        lappend all [list $name \
            [list [info nameofexecutable] $root/tests/harness/main.tcl $file -seed $seed -test $option(--test)]]
    }
    foreach source [lsort [glob -nocomplain $root/tests/unit/*/test_*.c]] {
        set layer [file tail [file dirname $source]]
        set program [file rootname [file tail $source]]
        lappend all [list unit/$layer/$program [list $build/unit/$layer/$program]]
    }
    return $all
}

proc start {name command} {
    global running output started timer limit_s
    set channel [open |[list sh -c {exec "$@" 2>&1 </dev/null} sh {*}$command] r]
    fconfigure $channel -blocking 0 -translation binary
    set output($name) ""
    set started($name) [clock milliseconds]
    set timer($name) [after [expr {$limit_s * 1000}] [list too_long $name $channel]]
    incr running
    fileevent $channel readable [list gather $name $channel]
}

proc too_long {name channel} {
    append ::output($name) "\nkilled: it took more than $::limit_s s\n"
    foreach pid [pid $channel] { catch {exec sh -c "kill -KILL $pid"} }
}

proc gather {name channel} {
    append ::output($name) [read $channel]
    if {![eof $channel]} { return }
    fileevent $channel readable {}
    fconfigure $channel -blocking 1
    set status [catch {close $channel}]
    after cancel $::timer($name)
    finish $name $status
    incr ::running -1
    next
}

# The numbers of tests that passed and failed: from our own last line, or from the lines of cmocka for each test.
proc count {text} {
    if {[regexp {(\d+) passed, (\d+) failed\s*$} $text -> passed failed]} { return [list $passed $failed] }
    set bad 0
    regexp {(\d+) FAILED TEST\(S\)} $text -> bad
    return [list [regexp -all -line {^\[       OK \]} $text] $bad]
}

proc finish {name status} {
    global passed failed output started broken
    lassign [count $output($name)] good bad
    # A crash, an exit that no failed test explains, or a run of no test at all is a failure too.
    if {$status && !$bad} { incr bad }
    if {!$good && !$bad && ![string match *skipped* $output($name)] && $::option(--test) eq "."} { incr bad }
    incr passed $good
    incr failed $bad
    set ms [expr {[clock milliseconds] - $started($name)}]
    puts [format "%-6s %-36s %4d passed %3d failed %8.1f s" [expr {$bad ? "FAILED" : "ok"}] $name $good $bad \
        [expr {$ms / 1000.0}]]
    if {$bad} {
        lappend broken $name
        puts "-------- $name\n[string trimright [string range $output($name) end-20000 end]]\n--------"
    }
    flush stdout
}

proc next {} {
    global waiting running done option
    while {$running < $option(--jobs) && [llength $waiting]} {
        set waiting [lassign $waiting test]
        start {*}$test
    }
    if {!$running} { set done 1 }
}

set passed 0
set failed 0
set running 0
set broken {}
set waiting {}
foreach test [list_tests] {
    if {[regexp -- $option(--only) [lindex $test 0]]} { lappend waiting $test }
}
if {![llength $waiting]} {
    puts "no test is named like $option(--only)"
    puts "0 passed, 1 failed"
    exit 1
}
fconfigure stdout -translation binary
after 0 next
vwait done
if {[info exists own]} { file delete -force $own }
if {[llength $broken]} { puts "failed: [join $broken {, }]" }
puts "$passed passed, $failed failed"
exit [expr {$failed > 0}]
