# main.tcl FILE ?-seed N? ?-test REGEX?: runs one file of tests. tests/run.tcl starts this for each file.
set root [file dirname [file dirname [file dirname [file normalize [info script]]]]]
foreach part {resp server check dataset disk nodes proxy fake_primary fakes log} {
    source [file join $root tests harness $part.tcl]
}
set file [lindex $argv 0]
array set option [concat {-seed 0 -test .} [lrange $argv 1 end]]
set check::filter $option(-test)
set check::seed [expr {$option(-seed) ? $option(-seed) : [clock microseconds] % 1000000000}]
expr {srand($check::seed)}
set code [catch {source -encoding utf-8 $file} problem options]
if {$code} { test_failed [file tail $file] "$problem\n[where $options]" }
puts "$check::passed passed, $check::failed failed"
exit [expr {$check::failed > 0}]
