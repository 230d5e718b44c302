"""What refuses a plan or warns about it: guards of one signature, `(PlanDraft) -> Iterator[Finding]`, listed in
`guard_table`.
"""
