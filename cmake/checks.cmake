# Tests of the tree itself (label tree), written in python; each prints what it found and where.
function(megalith_check name)
  add_test(NAME checks/${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(checks/${name} PROPERTIES TIMEOUT 120 LABELS tree)
endfunction()

megalith_check(rooms scripts/check_rooms)
megalith_check(portable scripts/check_portable)
megalith_check(what_runs_table scripts/what_runs --check)
foreach(script check_rooms check_portable ci fetch_model install_packages what_runs)
  megalith_check(${script} python3 -B tests/scripts/test_${script}.py)
endforeach()
