# Geo: searches against a model that looks at every place, in both encodings, and points that redis-server leaves open.
proc radians {degrees} { expr {$degrees * 0.017453292519943295} }
proc distance {lon1 lat1 lon2 lat2} {
    set v [expr {sin([radians [expr {$lon2 - $lon1}]] / 2)}]
    set u [expr {sin([radians [expr {$lat2 - $lat1}]] / 2)}]
    expr {2 * 6372797.560856 * asin(sqrt($u * $u + cos([radians $lat1]) * cos([radians $lat2]) * $v * $v))}
}
proc random_between {min max} { expr {$min + ($max - $min) * [random_below 1000000] / 1e6} }

with_server {} {
    foreach {encoding places} {listpack 100 skiplist 1000} {
        test "A radius finds all places within it, the nearest first ($encoding)" {
            r DEL g
            array unset at
            for {set i 0} {$i < $places} {incr i} {
                r GEOADD g [random_between -20 20] [random_between 30 60] m:$i
            }
            assert_equal $encoding [r OBJECT ENCODING g]
            for {set i 0} {$i < $places} {incr i} { set at($i) [lindex [r GEOPOS g m:$i] 0] }
            for {set round 0} {$round < 30} {incr round} {
                set lon [random_between -20 20]
                set lat [random_between 30 60]
                set km [expr {10 + [random_below 1500]}]
                set expected {}
                for {set i 0} {$i < $places} {incr i} {
                    set metres [distance $lon $lat {*}$at($i)]
                    if {$metres <= $km * 1000} { lappend expected [list $metres m:$i] }
                }
                set expected [lmap pair [lsort -real -index 0 $expected] { lindex $pair 1 }]
                assert_equal $expected [r GEOSEARCH g FROMLONLAT $lon $lat BYRADIUS $km km ASC]
                assert_equal [lreverse $expected] [r GEOSEARCH g FROMLONLAT $lon $lat BYRADIUS $km km DESC]
                assert_equal [lrange $expected 0 4] [r GEORADIUS g $lon $lat $km km COUNT 5]
                assert_equal [lsort $expected] [lsort [r GEOSEARCH g FROMLONLAT $lon $lat BYRADIUS $km km]]
                set any [r GEOSEARCH g FROMLONLAT $lon $lat BYRADIUS $km km COUNT 3 ANY]
                assert_equal [expr {min(3, [llength $expected])}] [llength $any]
                foreach member $any { assert {$member in $expected} }
                assert_equal [llength $expected] [r GEOSEARCHSTORE d g FROMLONLAT $lon $lat BYRADIUS $km km STOREDIST]
                assert_equal $expected [r ZRANGE d 0 -1]
            }
        }
    }

    test "Places at the same distance come in the order of the set, and COUNT takes the first" {
        r DEL g
        foreach member {d 12 b a c} { r GEOADD g 13 38 $member }
        assert_equal {12 a b c d} [r GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 1 km ASC]
        assert_equal {12 a b c d} [r GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 1 km DESC]
        assert_equal {12 a} [r GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 1 km COUNT 2]
    }

    test "A search may store over its source" {
        r DEL g
        r GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 2.35 48.85 Paris 13.4 38.1 42
        assert_equal 3 [r GEOSEARCHSTORE g g FROMMEMBER Palermo BYRADIUS 200 km]
        assert_equal {42 Catania Palermo} [lsort [r ZRANGE g 0 -1]]
        assert_equal 1 [r GEORADIUS g 15 37 100 km STORE g]
        assert_equal Catania [r ZRANGE g 0 -1]
    }

    test "COMMAND GETKEYS finds the keys of a request that stores" {
        assert_equal {a b} [r COMMAND GETKEYS GEOSEARCHSTORE a b FROMMEMBER m BYRADIUS 1 km]
        assert_equal {a d} [r COMMAND GETKEYS GEORADIUS a 1 2 3 km STORE d]
        assert_equal {a d} [r COMMAND GETKEYS GEORADIUSBYMEMBER a m 3 km ASC STOREDIST d]
        assert_equal a [r COMMAND GETKEYS GEORADIUS_RO a 1 2 3 km]
    }
}
