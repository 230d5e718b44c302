"""Instance changes -> waves and steps, and how each wave is rolled back. Pure.

rollout and waves order the work; step_factory and builder make the steps; graph checks and sorts them;
service_order, volume_handover and ingress_members decide what waits for what; adjustments adds the steps that touch
no guest; rollback_record says how a wave is taken back.
"""
