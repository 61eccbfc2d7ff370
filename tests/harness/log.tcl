# The append-only file of a server. Only without checksums (`aof-checksums no`) do commands follow one another in it.
#
#   log_bytes ?h? ?pattern?   the bytes of the files in its folder that match the pattern, one after the other
#   log_commands bytes        the commands in these bytes, as lists of words; a part of one at the end is left out
#   log_words bytes           the words of all commands, if each is one line; checksums may be there

proc log_bytes {{h ""} {pattern *.incr.aof}} {
    set bytes ""
    foreach path [lsort [glob [file join [server_folder $h] appendonlydir $pattern]]] {
        set file [open $path rb]
        append bytes [read $file]
        close $file
    }
    return $bytes
}

proc log_commands {bytes} {
    set commands {}
    for {set at 0} {[regexp -start $at {\A\*(\d+)\r\n} $bytes line count]} {lappend commands $words} {
        incr at [string length $line]
        set words {}
        for {set i 0} {$i < $count} {incr i} {
            if {![regexp -start $at {\A\$(\d+)\r\n} $bytes line length]} { return $commands }
            incr at [string length $line]
            lappend words [string range $bytes $at [expr {$at + $length - 1}]]
            incr at [expr {$length + 2}]
        }
    }
    if {[string index $bytes $at] ni {"" *}} { error "no command at $at" }
    return $commands
}

proc log_words {bytes} {
    return [lmap line [split $bytes \n] {
        set word [string trimright $line \r]
        if {[string index $word 0] in {# * $ ""}} { continue }
        set word
    }]
}
